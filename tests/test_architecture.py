"""Who may import whom, and how files are named."""

import ast
import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
PACKAGES = (
    "benchmarks",
    "datasets",
    "layers",
    "preprocessing",
    "serving",
    "summaries",
    "training",
    "zoo",
)
FILES = sorted(
    path
    for folder in (*PACKAGES, "tests")
    for path in (ROOT / folder).rglob("*.py")
)

# What a package may import of ours.
ALLOWED = {
    "layers": {"layers"},
    "zoo": {"zoo", "layers"},
    "datasets": {"datasets"},
    "preprocessing": {"preprocessing"},
    "summaries": {"summaries", "layers", "preprocessing"},
}
# A command of its own, which asks a model for its attention.
MORE_OF_OURS = {"summaries/view.py": {"serving", "training"}}
# And of others, besides the standard library; None is anything.
ALLOWED_OTHERS = {"layers": {"keras"}, "zoo": {"keras"}}
# Files that need more. Reading the weights of others is the business of the
# zoo, and the format has a library; it is imported when it is used.
MORE_FOR_FILES = {"zoo/_checkpoint_folder.py": {"safetensors"}}


def imported(path):
    """Top names of all modules that a file imports, wherever it does."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            own = path.relative_to(ROOT).parts[0]
            module = node.module or own
            names.add(own if node.level else module.partition(".")[0])
        elif isinstance(node, ast.Call):
            function = node.func
            called = getattr(function, "attr", getattr(function, "id", ""))
            if called in ("import_module", "__import__") and isinstance(
                node.args[0], ast.Constant
            ):
                names.add(node.args[0].value.partition(".")[0])
    return names


def files_of(package):
    files = sorted((ROOT / package).rglob("*.py"))
    assert files, package
    return files


def test_all_kinds_of_imports_are_seen(tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    path = tmp_path / "layers" / "one.py"
    path.parent.mkdir()
    path.write_text(
        "import a.b\nfrom c.d import e\nfrom . import f\n"
        "def g():\n    import h as i\n    importlib.import_module('j.k')\n"
    )
    assert imported(path) == {"a", "c", "layers", "h", "j"}


@pytest.mark.parametrize("package", ALLOWED)
def test_packages_import_only_what_lies_below(package):
    ours = {*PACKAGES, "tests", "train"}
    for path in files_of(package):
        more = MORE_OF_OURS.get(str(path.relative_to(ROOT)), set())
        assert imported(path) & ours <= ALLOWED[package] | more, path


@pytest.mark.parametrize("package", ALLOWED_OTHERS)
def test_layers_and_models_need_keras_only(package):
    free = {*sys.stdlib_module_names, *PACKAGES}
    for path in files_of(package):
        more = MORE_FOR_FILES.get(str(path.relative_to(ROOT)), set())
        allowed = ALLOWED_OTHERS[package] | more
        assert imported(path) - free <= allowed, path


def test_nothing_imports_the_command():
    files = [path for package in PACKAGES for path in files_of(package)]
    assert len(files) > 50
    for path in files:
        assert "train" not in imported(path), path


def test_files_are_named_by_what_they_are_about():
    empty = {"utils", "util", "helpers", "helper", "common", "misc"}
    for path in [*FILES, *ROOT.glob("*.py")]:
        assert path.stem.strip("_").removeprefix("test_") not in empty, path
        assert path.parent.name not in empty, path


def test_each_test_file_has_a_name_of_its_own():
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(set(names)) == sorted(names)


@pytest.mark.parametrize("package", ["datasets", "layers", "zoo"])
def test_each_public_module_has_its_tests(package):
    for path in (ROOT / package).glob("*.py"):
        if not path.stem.startswith("_"):
            tests = ROOT / "tests" / package / f"test_{path.stem}.py"
            assert tests.is_file(), path


def test_each_package_is_declared():
    declared = (ROOT / "pyproject.toml").read_text("utf-8")
    for path in ROOT.glob("*/__init__.py"):
        assert path.parent.name in PACKAGES
        assert f'"{path.parent.name}"' in declared

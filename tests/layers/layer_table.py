"""A table of the layers and of what the tests prove of them."""

import collections
import inspect
import pathlib

import layers

CHECKS = {
    "equation": "the numbers of the paper, by hand or from NumPy in float64",
    "peer": "the numbers of the layer of Keras or torch",
    "gradients": "those of all weights or inputs, against differences or "
    "numbers by hand",
    "masks": "what is hidden changes nothing, and a row without keys is 0",
    "precision": "half and double precision, under the policies of Keras",
    "compiled": "graphs, with XLA and without, and models agree with a call",
    "saved": "config and `.keras` file",
    "scores": "four axes, recorded, and asking for them changes nothing",
    "cache": "a memory that grows, one step at a time",
    "blocks": "the path whose memory is linear in the length",
    "bad input": "an error that says what was expected",
}
HEADING = """\
# What the tests prove of each layer

The number of tests that passed, by what they check. Written, on TensorFlow,
by

    .venv/bin/python -m pytest -n 2 tests/layers --layer-table docs/layers.md

The same tests run on JAX (`make test` a part of them, `make test-jax` all)
and torch (`make test-torch`).

"""


def public_layers():
    """The names of all layers, in the order of reading."""
    return [
        name
        for name in layers.__all__
        if inspect.isclass(getattr(layers, name))
    ]


def checks_of(item):
    """What a test is marked to prove.

    A test is about the layers that its mark names, else about the layer of
    its case or name, else about that of its file.

    Args:
        item: A test of pytest.

    Returns:
        A set of pairs of a layer's and a check's name.

    Raises:
        ValueError: If a name is unknown, or no layer is found.
    """
    found = set()
    for mark in item.iter_markers("check"):
        (check,) = mark.args
        names = mark.kwargs.get("layers") or _layers_of(item)
        unknown = {check} - set(CHECKS) | set(names) - set(public_layers())
        if unknown or not names:
            raise ValueError(
                "A check must have a known name and be about a public layer. "
                f"Received: test={item.nodeid}, check={check}, layers={names}"
            )
        found |= {(name, check) for name in names}
    return found


def _layers_of(item):
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    for name in {"case", "case_in_blocks"} & set(parameters):
        return [parameters[name].layer.__name__]
    if parameters.get("name") in public_layers():
        return [parameters["name"]]
    module = item.path.stem.replace("test_", "layers.", 1)
    return [
        name
        for name in public_layers()
        if getattr(layers, name).__module__ == module
    ]


class Counter:
    """A plugin of pytest that counts and writes the table at the end.

    Reports have the checks of their test as the user property `checks`, so
    it does not matter which process ran it.
    """

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.counts = collections.Counter()

    def pytest_runtest_logreport(self, report):
        if report.when == "call" and report.passed:
            checks = dict(report.user_properties).get("checks", [])
            self.counts.update(map(tuple, checks))

    def pytest_sessionfinish(self):
        self.path.write_text(HEADING + table_of(self.counts), "utf-8")


def table_of(counts):
    """The counts `{(layer, check): number}` as Markdown."""
    names = public_layers()
    width = max(map(len, names))
    head = ["layer".ljust(width), *CHECKS]
    rows = [head, ["-" * len(name) for name in head]]
    for name in names:
        numbers = [str(counts.get((name, check), "")) for check in CHECKS]
        cells = [cell.rjust(len(at)) for cell, at in zip(numbers, CHECKS)]
        rows.append([name.ljust(width), *cells])
    table = "".join(f"| {' | '.join(row)} |\n" for row in rows)
    notes = [f"- {check}: {meaning}\n" for check, meaning in CHECKS.items()]
    return f"{table}\n{''.join(notes)}"


def read_table(text):
    """`{layer: names of the checks that it has}` of such a table."""
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("|")
    ]
    head, _, *rows = rows
    return {
        name: {check for check, cell in zip(head[1:], cells) if cell}
        for name, *cells in rows
    }

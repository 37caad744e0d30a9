import inspect
import pathlib
import types

import pytest

import layers
from tests.layers import layer_table

TABLE = pathlib.Path(__file__).parents[2] / "docs" / "layers.md"
NEEDED = {"gradients", "precision", "compiled", "saved", "bad input"}


@pytest.fixture(scope="module")
def checks():
    return layer_table.read_table(TABLE.read_text("utf-8"))


def is_attention(name):
    """Whether the layer gives scores to those who ask."""
    parameters = inspect.signature(getattr(layers, name).call).parameters
    return "return_attention_scores" in parameters


def test_every_layer_has_its_row_and_no_other(checks):
    assert list(checks) == layer_table.public_layers()


@pytest.mark.parametrize("name", layer_table.public_layers())
def test_a_layer_has_the_checks_that_it_needs(name, checks):
    needed = set(NEEDED)
    if is_attention(name):
        needed |= {"masks", "scores"}
    assert needed - checks[name] == set()
    assert checks[name] & {"equation", "peer"}


def test_which_are_attention():
    assert is_attention("MultiHeadAttention")
    assert is_attention("SelfAttention2D")
    assert not is_attention("FeedForward")


def test_a_table_is_read_as_it_was_written():
    counts = {("Dropout", "peer"): 12, ("Dropout", "bad input"): 1}
    text = layer_table.HEADING + layer_table.table_of(counts)
    found = layer_table.read_table(text)
    assert found.pop("Dropout") == {"peer", "bad input"}
    assert len(found) == len(layer_table.public_layers()) - 1
    assert not any(found.values())


def marked(file, *marks, **parameters):
    """A test as pytest collects it."""
    item = types.SimpleNamespace(
        nodeid="test", path=pathlib.Path(file), iter_markers=lambda _: marks
    )
    if parameters:
        item.callspec = types.SimpleNamespace(params=parameters)
    return item


def test_what_a_test_is_about():
    equation = pytest.mark.check("equation").mark
    case = types.SimpleNamespace(layer=layers.Dropout)
    other = pytest.mark.check("peer", layers=["ClassToken"]).mark
    for item, expected in (
        (marked("test_dropout.py"), set()),
        (
            marked("test_feed_forward.py", equation, number=3),
            {("FeedForward", "equation")},
        ),
        (
            marked("test_masks.py", equation, other, case=case),
            {("Dropout", "equation"), ("ClassToken", "peer")},
        ),
    ):
        assert layer_table.checks_of(item) == expected


@pytest.mark.parametrize(
    "file, arguments",
    [
        ("test_dropout.py", {"check": "speed"}),
        ("test_masks.py", {"check": "peer"}),
        ("test_masks.py", {"check": "peer", "layers": ["Attention"]}),
    ],
)
def test_a_mark_that_says_nothing_is_refused(file, arguments):
    mark = pytest.mark.check(
        arguments["check"],
        **{k: v for k, v in arguments.items() if k != "check"},
    ).mark
    with pytest.raises(ValueError, match=f"check={arguments['check']}"):
        layer_table.checks_of(marked(file, mark))

import numpy as np
import pytest

from summaries import AttentionSamples
from summaries import Side

SOURCE = Side([["a", "b"], ["c"]])
TARGET = Side([["d"], ["e", "f", "g"]])
BOTH = {"source": SOURCE, "target": TARGET}


@pytest.mark.parametrize(
    ("layer", "query", "key"),
    [
        ("decoder/cross", TARGET, SOURCE),
        ("decoder/0/cross", TARGET, SOURCE),
        ("decoder/0/self", TARGET, TARGET),
        ("encoder/1/self", SOURCE, SOURCE),
        ("additive_attention", TARGET, SOURCE),
    ],
)
def test_default_sides(layer, query, key):
    samples = AttentionSamples(None, BOTH)
    assert samples.sides_of(layer) == (query, key)


def test_own_sides_come_first():
    samples = AttentionSamples(
        None, BOTH, {"decoder/?/cross": ("source", "target")}
    )
    assert samples.sides_of("decoder/0/cross") == (SOURCE, TARGET)
    assert samples.sides_of("decoder/cross") == (TARGET, SOURCE)


def test_one_side_is_both():
    samples = AttentionSamples(None, {"text": SOURCE})
    assert samples.sides_of("whatever") == (SOURCE, SOURCE)


def test_unknown_sides():
    samples = AttentionSamples(
        None, {"words": SOURCE, "tags": TARGET}, {"a*": ("tags", "words")}
    )
    assert samples.sides_of("attention") == (TARGET, SOURCE)
    with pytest.raises(ValueError, match="layer='cross'"):
        samples.sides_of("cross")


@pytest.mark.parametrize("names", [("source",), ("source", "other")])
def test_wrong_layer_sides(names):
    with pytest.raises(ValueError, match=r"layer_sides\['\*'\]="):
        AttentionSamples(None, BOTH, {"*": names})
    with pytest.raises(ValueError, match=r"sides=\{\}"):
        AttentionSamples(None, {})


def test_mask_from_tokens():
    np.testing.assert_array_equal(
        TARGET.mask_of(2, 4, "layer"),
        [[True, False, False, False], [True, True, True, False]],
    )
    for size in ((2, 2), (1, 3)):
        with pytest.raises(ValueError, match=r"'layer'.*Received: tokens="):
            TARGET.mask_of(*size, "layer")


def test_given_mask():
    mask = np.array([[True, False, False]])
    assert Side([["a"]], mask).mask_of(1, 3, "layer") is mask
    with pytest.raises(ValueError, match=r"'layer'.*Received: tokens="):
        Side([["a"]], mask).mask_of(1, 4, "layer")


def test_bytes_are_text():
    assert Side([["é".encode(), b"\xff"]]).tokens == [["é", "�"]]
    with pytest.raises(TypeError, match="token=3"):
        Side([[3]])


@pytest.mark.parametrize(
    "mask",
    [
        np.ones((2, 3)),
        np.ones((2, 2), bool),
        np.ones((1, 3), bool),
        np.ones(3, bool),
    ],
)
def test_wrong_mask(mask):
    with pytest.raises(ValueError, match=r"mask\.dtype=.*mask\.shape="):
        Side(TARGET.tokens, mask)

import numpy as np
import pytest

from summaries import AttentionSamples
from summaries import PatchSide
from summaries import PooledSide
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
        ("pooling", PooledSide(), SOURCE),
        ("encoder/attention_pooling_2", PooledSide(), SOURCE),
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


@pytest.mark.parametrize("side", [SOURCE, PatchSide([[[0.5]]], (1, 1))])
@pytest.mark.parametrize("name", ["text", "source", "target"])
def test_the_queries_of_a_pooling(side, name):
    samples = AttentionSamples(None, {name: side}, {"sum": ("pooled", name)})
    for layer in ("pooling", "attention_pooling", "attention_pooling_1", "sum"):
        assert samples.sides_of(layer) == (PooledSide(), side)
    for layer in ("encoder/0/self", "pooling_encoder/0/self", "pooling_gate"):
        assert samples.sides_of(layer) == (side, side)


def test_own_sides_of_a_pooling():
    queries = Side([["who", "what"]] * 2)
    samples = AttentionSamples(None, {"source": SOURCE, "pooled": queries})
    assert samples.sides_of("pooling") == (queries, SOURCE)


def test_pooled_side():
    side = PooledSide()
    np.testing.assert_array_equal(side.mask_of(2, 3, "layer"), [[True] * 3] * 2)
    assert side.labels_of(1, 1) == ["pooled"]
    assert side.labels_of(1, 3) == ["pooled 0", "pooled 1", "pooled 2"]


def test_unknown_sides():
    samples = AttentionSamples(
        None, {"words": SOURCE, "tags": TARGET}, {"a*": ("tags", "words")}
    )
    assert samples.sides_of("attention") == (TARGET, SOURCE)
    with pytest.raises(ValueError, match="layer='cross'"):
        samples.sides_of("cross")


@pytest.mark.parametrize(
    "names",
    [("source",), ("source", "other"), ("source", "pooled"), ("x", "source")],
)
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


def test_patch_side():
    images = np.linspace(0, 1, 2 * 4 * 6).reshape(2, 4, 6, 1)
    side = PatchSide(images, (2, 3), num_prefix_tokens=1)
    np.testing.assert_array_equal(
        side.mask_of(2, 7, "layer"), np.ones((2, 7), bool)
    )
    assert side.images[1].dtype == np.uint8
    assert side.images[1].max() == 255
    assert side.labels_of(0, 7) == [
        *("token 0", "0, 0", "0, 1", "0, 2", "1, 0", "1, 1", "1, 2"),
    ]
    for size in ((2, 6), (1, 7), (2, 8)):
        with pytest.raises(ValueError, match=r"'layer'.*num_prefix_tokens=1"):
            side.mask_of(*size, "layer")


def test_pictures_of_several_sizes():
    side = PatchSide([np.zeros((4, 6)), np.zeros((8, 8, 3))], (2, 2))
    assert [image.shape for image in side.images] == [(4, 6, 3), (8, 8, 3)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros((2, 4, 6, 2)), (2, 3)), r"image\.shape=\(4, 6, 2\)"),
        ((np.full((2, 4, 6, 1), -2.0), (2, 3)), "image from -2.0 to -2.0"),
        ((np.zeros((2, 4, 6, 1)), (0, 3)), r"grid_shape=\(0, 3\)"),
        ((np.zeros((2, 4, 6, 1)), (2, 3), -1), "num_prefix_tokens=-1"),
    ],
)
def test_wrong_patch_side(arguments, message):
    with pytest.raises(ValueError, match=message):
        PatchSide(*arguments)

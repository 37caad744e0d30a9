import numpy as np
import pytest
from keras import ops

from layers import masks
from layers._call_masks import collect_masks
from tests.layers.running import array
from tests.layers.running import assert_allclose
from tests.layers.running import assert_array_equal
from tests.layers.running import compiled
from tests.layers.running import dtype_of
from tests.layers.running import outputs_and_gradients
from tests.layers.running import weighted_sum

# All sizes differ: B 2, N 3, T 5, S 7.
QUERY = np.arange(10).reshape(2, 5) % 3 > 0
VALUE = np.arange(14).reshape(2, 7) % 4 > 0
KEY = np.arange(14).reshape(2, 7) % 5 > 0
PAIRS = np.arange(35).reshape(5, 7) % 6 > 0
BATCH_PAIRS = np.arange(70).reshape(2, 5, 7) % 6 > 0
HEAD_PAIRS = np.arange(210).reshape(2, 3, 5, 7) % 6 > 0


def combine(**given):
    mask = collect_masks(**given).whole(5, 7)
    return np.broadcast_to(array(mask), (2, 3, 5, 7))


def test_padding_mask():
    assert_array_equal(
        masks.padding_mask(np.array([[5, 6, 0], [0, 7, 0]])),
        [[True, True, False], [False, True, False]],
    )
    assert_array_equal(
        masks.padding_mask(np.array([[5, 6, 0]]), padding_id=5),
        [[False, True, True]],
    )


@pytest.mark.parametrize(
    "query_length, key_length, expected",
    [
        (3, 3, [[1, 0, 0], [1, 1, 0], [1, 1, 1]]),
        # The last query stands at the last key.
        (1, 5, [[1, 1, 1, 1, 1]]),
        (2, 5, [[1, 1, 1, 1, 0], [1, 1, 1, 1, 1]]),
        # The first query stands before all keys.
        (3, 2, [[0, 0], [1, 0], [1, 1]]),
    ],
)
def test_causal_mask(query_length, key_length, expected):
    mask = masks.causal_mask(query_length, key_length)
    assert dtype_of(mask) == "bool"
    assert_array_equal(mask, np.array(expected, bool))


@pytest.mark.tensorflow
def test_causal_mask_of_lengths_known_in_the_graph_only():
    traced = compiled(masks.causal_mask, False)
    assert_array_equal(
        traced(ops.convert_to_tensor(2), ops.convert_to_tensor(3)),
        [[1, 1, 0], [1, 1, 1]],
    )


def test_four_axes():
    for mask, shape in (
        (PAIRS, (1, 1, 5, 7)),
        (BATCH_PAIRS, (2, 1, 5, 7)),
        (HEAD_PAIRS, (2, 3, 5, 7)),
    ):
        assert masks.four_axes(mask).shape == shape
    assert_array_equal(masks.four_axes(BATCH_PAIRS)[:, 0], BATCH_PAIRS)


@pytest.mark.parametrize("shape", [(7,), (2, 3, 1, 5, 7)])
def test_another_rank_is_refused(shape):
    with pytest.raises(ValueError, match=r"\(B, N, T, S\)\. Received.*shape="):
        collect_masks(attention_mask=np.ones(shape, bool))


@pytest.mark.parametrize("dtype", ["float32", "int32", "uint8"])
@pytest.mark.parametrize(
    "name, mask",
    [
        ("query_mask", QUERY),
        ("value_mask", VALUE),
        ("key_mask", KEY),
        ("attention_mask", PAIRS),
    ],
)
def test_a_mask_that_is_not_boolean_is_refused(name, mask, dtype):
    message = rf"`{name}` must be boolean.*{name}\.dtype={dtype}"
    for given in (mask.astype(dtype), ops.cast(mask, dtype)):
        with pytest.raises(ValueError, match=message):
            collect_masks(**{name: given})
        with pytest.raises(ValueError, match=message):
            masks.check_mask(given, name)


def test_lists_are_masks_too():
    assert masks.check_mask(None, "mask") is None
    assert_array_equal(masks.check_mask([True, False], "mask"), [True, False])
    with pytest.raises(ValueError, match="must be boolean"):
        masks.check_mask([1, 0], "mask")


def test_no_mask():
    assert collect_masks().whole(5, 7) is None


def test_each_mask_alone():
    assert_array_equal(
        combine(query_mask=QUERY),
        np.broadcast_to(QUERY[:, None, :, None], (2, 3, 5, 7)),
    )
    for name, mask in (("value_mask", VALUE), ("key_mask", KEY)):
        assert_array_equal(
            combine(**{name: mask}),
            np.broadcast_to(mask[:, None, None, :], (2, 3, 5, 7)),
        )
    assert_array_equal(
        combine(use_causal_mask=True)[1, 2], np.tri(5, 7, k=2, dtype=bool)
    )


@pytest.mark.parametrize("pairs", [PAIRS, BATCH_PAIRS, HEAD_PAIRS])
def test_all_masks_are_joined_by_and(pairs):
    expected = np.zeros((2, 3, 5, 7), bool)
    for b, n, t, s in np.ndindex(expected.shape):
        own = {2: pairs, 3: pairs[b], 4: pairs[b][n]}[pairs.ndim]
        expected[b, n, t, s] = (
            QUERY[b, t]
            and VALUE[b, s]
            and KEY[b, s]
            and own[t, s]
            and s <= 2 + t
        )
    assert 0 < expected.sum() < expected.size
    assert_array_equal(
        combine(
            query_mask=QUERY,
            value_mask=VALUE,
            key_mask=KEY,
            attention_mask=pairs,
            use_causal_mask=True,
        ),
        expected,
    )


def test_places_behind_the_end_of_a_cache_are_hidden():
    given = collect_masks(length=ops.convert_to_tensor(2, dtype="int32"))
    expected = [[True, True, False, False]]
    whole = ops.broadcast_to(given.whole(3, 4), (1, 1, 3, 4))
    assert_array_equal(whole[0, 0], expected * 3)
    tile = ops.broadcast_to(given.tile(0, 0, 1, 2, 3, 4), (2, 4))
    assert_array_equal(tile, expected * 2)


def test_masked_softmax_by_hand():
    # Powers of two: e^(k log 2).
    logits = np.log(2) * np.array([[0, 1, 2, 3], [0, 1, 2, 3]], "float32")
    mask = np.array([[True, True, False, True], [False, True, True, False]])
    assert_allclose(
        masks.masked_softmax(logits, mask),
        [[1 / 11, 2 / 11, 0, 8 / 11], [0, 1 / 3, 2 / 3, 0]],
        rtol=1e-6,
    )
    assert_allclose(
        masks.masked_softmax(logits),
        [[1 / 15, 2 / 15, 4 / 15, 8 / 15]] * 2,
        rtol=1e-6,
    )


@pytest.mark.parametrize("offset", [-1e8, 1e8])
def test_masked_softmax_of_large_logits(offset):
    # In float32, neighbours of 1e8 are 8 apart.
    logits = np.array([[0, 16, 48]], "float32") + np.float32(offset)
    expected = np.exp([0.0, 16.0]) / np.exp([0.0, 16.0]).sum()
    scores = masks.masked_softmax(logits, np.array([[True, True, False]]))
    assert_allclose(scores[0, :2], expected, rtol=1e-5)
    assert scores[0, 2] == 0


def test_a_row_without_keys_is_zero_and_has_a_finite_gradient():
    logits = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 7.0]], "float32")
    mask = np.array([[False, False, False], [True, False, True]])

    def call(logits):
        scores = masks.masked_softmax(logits, mask)
        return weighted_sum(scores, np.array([1.0, 3.0, 5.0])), scores

    scores, (gradient,), _ = outputs_and_gradients(call, [logits])
    assert_array_equal(scores[0], [0, 0, 0])
    assert_array_equal(gradient[0], [0, 0, 0])
    # d/dx of 1 w + 5 (1 - w) with w = sigmoid(4 - 7).
    weight = 1 / (1 + np.exp(3))
    slope = 4 * weight * (1 - weight)
    assert_allclose(gradient[1], [-slope, 0, slope], rtol=1e-5)


def test_masked_softmax_is_as_wide_as_its_policy_allows():
    for dtype, wide in (
        ("float16", "float32"),
        ("bfloat16", "float32"),
        ("float32", "float32"),
        ("float64", "float64"),
    ):
        for mask in (None, np.array([[True, False, True]])):
            logits = ops.convert_to_tensor([[1.0, 2.0, 3.0]], dtype)
            assert dtype_of(masks.masked_softmax(logits, mask)) == wide

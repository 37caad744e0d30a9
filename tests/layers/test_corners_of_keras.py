"""Where layers of Keras surprise, and ours do not.

Each test first shows what the layer of Keras does: the day that it changes,
the test says so, and the comparison can go.
"""

import keras
import numpy as np
import pytest

from layers import DotProductAttention
from layers.encoder_block import EncoderBlock
from layers.feed_forward import FeedForward
from layers.multi_head_attention import MultiHeadAttention
from tests.layers.running import array
from tests.layers.running import assert_allclose
from tests.layers.running import assert_array_equal

DRAW = np.random.default_rng(0).normal
STATES = DRAW(size=(2, 5, 8)).astype("float32")
MASK = np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]], bool)
OTHER = np.where(MASK[..., None], STATES, 9.0).astype("float32")


def keras_attention():
    return keras.layers.MultiHeadAttention(num_heads=2, key_dim=4)


def ours(**options):
    return MultiHeadAttention(num_heads=2, key_dim=4, **options)


def largest_change(first, second, where=...):
    """Largest difference of two tensors there."""
    difference = array(first) - array(second)
    return np.abs(difference[where]).max()


@pytest.mark.check("masks", layers=["MultiHeadAttention"])
@pytest.mark.parametrize("make, survives", [(keras_attention, 0), (ours, 1)])
def test_implicit_masks_survive_a_residual_stack(make, survives):
    ids = keras.Input((None,), dtype="int32")
    states = keras.layers.Embedding(9, 8, mask_zero=True)(ids)
    for _ in range(2):
        states = keras.layers.Add()([states, make()(states, states)])
    model = keras.Model(ids, states)
    for weight in model.weights:
        weight.assign(0.5 * DRAW(size=weight.shape))
    alone = model(np.array([[4, 5, 6]]))
    padded = model(np.array([[4, 5, 6, 0, 0]]))
    change = largest_change(alone, padded[:, :3])
    assert change < 1e-4 if survives else change > 0.1


@pytest.mark.check("masks", layers=["MultiHeadAttention"])
def test_a_row_without_keys_is_zero_however_one_asks():
    nothing = np.ones((2, 5, 5), bool)
    nothing[1] = False
    theirs, own = keras_attention(), ours()
    for layer, agree in ((theirs, False), (own, True)):
        contexts = []
        for asked in (False, True):
            outputs = layer(
                STATES,
                STATES,
                attention_mask=nothing,
                return_attention_scores=asked,
            )
            contexts.append(array(outputs[0] if asked else outputs)[1])
        # That of Keras once takes the mean of all values, once 0.
        assert np.allclose(*contexts, atol=1e-3) == agree
        assert_array_equal(contexts[1], 0)


@pytest.mark.check("masks", layers=["DotProductAttention"])
def test_a_row_without_keys_of_the_plain_layer_is_zero():
    mask = np.array([[1] * 5, [0] * 5], bool)
    theirs = keras.layers.Attention()([STATES, STATES], mask=[None, mask])
    assert_allclose(
        theirs[1], np.tile(STATES[1].mean(axis=0), (5, 1)), atol=1e-5
    )
    own = DotProductAttention()(STATES, STATES, value_mask=mask)
    assert_array_equal(own[1], 0)


@pytest.mark.check("scores", layers=["MultiHeadAttention"])
def test_the_symbolic_shape_of_the_scores():
    query, value = keras.Input((3, 8)), keras.Input((5, 8))
    _, theirs = keras_attention()(query, value, return_attention_scores=True)
    assert theirs.shape == (None, 2, 3, 3)
    _, own = ours()(query, value, return_attention_scores=True)
    assert own.shape == (None, 2, 3, 5)


@pytest.mark.check("bad input", layers=["MultiHeadAttention"])
def test_an_additive_mask_is_refused():
    allowed = np.tri(5, dtype=bool)
    additive = np.where(allowed, 0.0, -1e9).astype("float32")[None]
    # Cast to boolean, it attends to exactly what it hides.
    _, scores = keras_attention()(
        STATES, STATES, attention_mask=additive, return_attention_scores=True
    )
    assert array(scores)[:, :, :4][..., ~allowed[:4]].min() > 0
    with pytest.raises(ValueError, match="must be boolean"):
        ours()(STATES, STATES, attention_mask=additive)


@pytest.mark.check("masks", layers=["MultiHeadAttention"])
def test_a_query_mask_counts():
    layer = keras_attention()
    _, scores = layer(
        STATES, STATES, query_mask=MASK, return_attention_scores=True
    )
    _, unmasked = layer(STATES, STATES, return_attention_scores=True)
    # Keras reads it where the inputs have it, not where it is given.
    ignored = np.array_equal(array(scores), array(unmasked))
    _, own = ours()(
        STATES, STATES, query_mask=MASK, return_attention_scores=True
    )
    assert_array_equal(array(own)[1, :, 3:], 0)
    assert ignored or np.abs(array(scores)[1, :, 3:]).max() > 0


@pytest.mark.check("masks", layers=["MultiHeadAttention"])
def test_one_query_over_five_cached_keys_sees_all():
    options = {"use_causal_mask": True, "return_attention_scores": True}
    _, theirs = keras_attention()(STATES[:, :1], STATES, **options)
    assert_array_equal(array(theirs)[..., 1:], 0)
    _, own = ours()(STATES[:, :1], STATES, **options)
    assert array(own).min() > 0


@pytest.mark.check("masks", layers=["DecoderBlock", "EncoderBlock"])
def test_group_normalisation_does_not_look_ahead():
    other = STATES.copy()
    other[:, 3:] = 9.0
    theirs = keras.layers.GroupNormalization(2)
    assert largest_change(theirs(STATES), theirs(other), np.s_[:, :3]) > 0.1
    block = EncoderBlock(
        ours(), FeedForward(16), normalization="group", num_groups=2
    )
    first, second = (
        block(inputs, use_causal_mask=True) for inputs in (STATES, other)
    )
    assert largest_change(first, second, np.s_[:, :3]) < 1e-5

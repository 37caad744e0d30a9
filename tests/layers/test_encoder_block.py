import numpy as np
import pytest

from layers import AdditiveAttention
from layers.encoder_block import EncoderBlock
from layers.feed_forward import FeedForward
from tests.layers.transformer_blocks import decoder
from tests.layers.transformer_blocks import encoder
from tests.layers.transformer_blocks import INPUTS
from tests.layers.transformer_blocks import MASK
from tests.layers.transformer_blocks import NORMALIZATIONS
from tests.layers.transformer_blocks import numpy_normalization


@pytest.mark.parametrize("normalize_first", [False, True])
def test_encoder_equals_the_equations(normalize_first):
    block = encoder(normalize_first=normalize_first)

    def attend(states):
        return block.attention(states, states, query_mask=MASK, value_mask=MASK)

    states = INPUTS
    for name, branch in (
        ("attention", attend),
        ("feed_forward", block.feed_forward),
    ):
        norm = numpy_normalization(block, name)
        if normalize_first:
            states = states + np.asarray(branch(norm(states)))
        else:
            states = norm(states + np.asarray(branch(states)))
    np.testing.assert_allclose(block(INPUTS, mask=MASK), states, atol=1e-10)


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_padding_changes_nothing(normalization):
    block = encoder(normalization=normalization, num_groups=4)
    other = np.where(MASK[..., None], INPUTS, 100.0)
    for training in (False, True):
        first, second = (
            np.asarray(block(inputs, mask=MASK, training=training))
            for inputs in (INPUTS, other)
        )
        np.testing.assert_allclose(first[MASK], second[MASK], atol=1e-10)


def test_batch_normalisation_is_for_encoders():
    message = "normalization=batch, use_causal_mask=True"
    with pytest.raises(ValueError, match=message):
        encoder(normalization="batch")(INPUTS, use_causal_mask=True)
    with pytest.raises(ValueError, match="kind=batch"):
        decoder(normalization="batch")
    for kind in ("instance", "none"):
        with pytest.raises(ValueError, match=f"normalization={kind}"):
            encoder(normalization=kind)


def test_any_attention_fits():
    block = EncoderBlock(AdditiveAttention(6), FeedForward(11))
    assert block(INPUTS.astype("f4")).shape == (2, 5, 8)


def test_dropout_and_depth_in_training_only():
    for options in ({"dropout": 0.5}, {"stochastic_depth": 0.5}):
        block = encoder(**options)
        quiet = [np.asarray(block(INPUTS)) for _ in range(2)]
        np.testing.assert_array_equal(*quiet)
        loud = np.stack([block(INPUTS, training=True) for _ in range(8)])
        assert np.abs(loud - quiet[0]).max() > 0.1
        # Samples that skip both branches come out as they went in.
        skipped = (loud == INPUTS).all(axis=(2, 3))
        assert skipped.any() == ("stochastic_depth" in options)

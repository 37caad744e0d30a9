import keras
import numpy as np
import pytest

from layers import AdditiveAttention
from layers import record_attention
from layers.encoder_block import EncoderBlock
from layers.feed_forward import FeedForward
from tests.layers.running import array
from tests.layers.running import assert_allclose
from tests.layers.running import assert_array_equal
from tests.layers.running import dtype_of
from tests.layers.running import graphs
from tests.layers.running import JIT
from tests.layers.running import weighted_sum
from tests.layers.transformer_blocks import decoder
from tests.layers.transformer_blocks import DRAW
from tests.layers.transformer_blocks import encoder
from tests.layers.transformer_blocks import INPUTS
from tests.layers.transformer_blocks import MASK
from tests.layers.transformer_blocks import NORMALIZATIONS
from tests.layers.transformer_blocks import numpy_normalization


@pytest.mark.check("equation")
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
            states = states + array(branch(norm(states)))
        else:
            states = norm(states + array(branch(states)))
    assert_allclose(block(INPUTS, mask=MASK), states, atol=1e-10)


@pytest.mark.check("masks")
@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_padding_changes_nothing(normalization):
    block = encoder(normalization=normalization, num_groups=4)
    other = np.where(MASK[..., None], INPUTS, 100.0)
    for training in (False, True):
        first, second = (
            array(block(inputs, mask=MASK, training=training))
            for inputs in (INPUTS, other)
        )
        assert_allclose(first[MASK], second[MASK], atol=1e-10)


@pytest.mark.check("bad input")
def test_batch_normalisation_is_for_encoders():
    message = "normalization=batch, use_causal_mask=True"
    with pytest.raises(ValueError, match=message):
        encoder(normalization="batch")(INPUTS, use_causal_mask=True)
    with pytest.raises(ValueError, match="kind=batch"):
        decoder(normalization="batch")
    for kind in ("instance", "none"):
        with pytest.raises(ValueError, match=f"normalization={kind}"):
            encoder(normalization=kind)


@pytest.mark.check("gradients")
@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_gradients(normalization, assert_gradients_match):
    # Of a group of two numbers that are close, only a large epsilon lets a
    # difference tell the gradient.
    block = encoder(normalization=normalization, num_groups=4, epsilon=0.1)
    direction = DRAW(size=INPUTS.shape)
    # A key bias changes all logits of a row alike, and so nothing.
    weights = [
        weight
        for weight in block.trainable_variables
        if not weight.path.endswith("key_bias")
    ]
    assert len(weights) == len(block.trainable_variables) - 1
    assert_gradients_match(
        lambda inputs: weighted_sum(block(inputs, mask=MASK), direction),
        weights,
        [INPUTS],
        jit=JIT[0],
    )


@pytest.mark.check("precision")
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_precision(policy):
    block, wide = encoder(dtype=policy), encoder()
    block.set_weights(wide.get_weights())
    outputs = block(INPUTS, mask=MASK)
    assert dtype_of(outputs) == block.compute_dtype
    assert_allclose(
        array(outputs, "float64"),
        wide(INPUTS, mask=MASK),
        atol=0.15 if "bfloat16" in policy else 0.02,
    )


@pytest.mark.check("compiled")
def test_all_ways_to_run_agree(tmp_path):
    block = encoder(dtype="float32", normalization="batch")
    symbols = [keras.Input((None, 8)), keras.Input((None,), dtype="bool")]

    def call(inputs, mask):
        return block(inputs, mask=mask)

    outputs = call(*symbols)
    assert outputs.shape == (None, None, 8)
    model = keras.Model(symbols, outputs)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    arrays = INPUTS.astype("f4"), MASK
    expected = call(*arrays)
    assert_array_equal(loaded(arrays), expected)
    for run in (lambda *arrays: model(arrays), *graphs(call, symbols)):
        assert_allclose(run(*arrays), expected, atol=1e-5)


@pytest.mark.check("saved")
def test_config():
    config = encoder(normalization="rms", dropout=0.25, seed=3).get_config()
    own = ("normalize_first", "normalization", "num_groups", "epsilon")
    own = {*own, "dropout", "stochastic_depth", "seed", *EncoderBlock.BRANCHES}
    assert set(config) == {"name", "trainable", "dtype", *own}
    assert (config["dropout"], config["normalization"]) == (0.25, "rms")
    assert EncoderBlock.from_config(config).get_config() == config


@pytest.mark.check("scores")
def test_attention_is_recorded_by_path():
    block = encoder()
    with record_attention() as scores:
        block(INPUTS, mask=MASK)
    (path,) = scores
    assert path == block.attention.path
    assert scores[path].shape == (2, 2, 5, 5)
    assert not array(scores[path])[1, :, :, 3:].any()


def test_any_attention_fits():
    block = EncoderBlock(AdditiveAttention(6), FeedForward(11))
    assert block(INPUTS.astype("f4")).shape == (2, 5, 8)


@pytest.mark.check("equation")
def test_dropout_and_depth_in_training_only():
    for options in ({"dropout": 0.5}, {"stochastic_depth": 0.5}):
        block = encoder(**options)
        quiet = [array(block(INPUTS)) for _ in range(2)]
        assert_array_equal(*quiet)
        loud = np.stack([array(block(INPUTS, training=True)) for _ in range(8)])
        assert np.abs(loud - quiet[0]).max() > 0.1
        # Samples that skip both branches come out as they went in.
        skipped = (loud == INPUTS).all(axis=(2, 3))
        assert skipped.any() == ("stochastic_depth" in options)

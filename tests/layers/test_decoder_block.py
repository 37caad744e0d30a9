import keras
import numpy as np
import pytest
import tensorflow as tf

from layers import record_attention
from layers.decoder_block import DecoderBlock
from layers.encoder_block import EncoderBlock
from layers.feed_forward import FeedForward
from layers.multi_head_attention import MultiHeadAttention
from tests.layers.transformer_blocks import decoder
from tests.layers.transformer_blocks import DRAW
from tests.layers.transformer_blocks import encoder
from tests.layers.transformer_blocks import INPUTS
from tests.layers.transformer_blocks import numpy_normalization
from tests.layers.transformer_blocks import VALUE
from tests.layers.transformer_blocks import VALUE_MASK


@pytest.mark.parametrize("normalize_first", [False, True])
def test_decoder_equals_the_equations(normalize_first):
    block = decoder(normalize_first=normalize_first)

    def attend(states):
        return block.self_attention(states, states, use_causal_mask=True)

    def look(states):
        return block.cross_attention(states, VALUE, value_mask=VALUE_MASK)

    states = INPUTS
    for name, branch in (
        ("self_attention", attend),
        ("cross_attention", look),
        ("feed_forward", block.feed_forward),
    ):
        norm = numpy_normalization(block, name)
        if normalize_first:
            states = states + np.asarray(branch(norm(states)))
        else:
            states = norm(states + np.asarray(branch(states)))
    outputs = block(INPUTS, VALUE, value_mask=VALUE_MASK)
    np.testing.assert_allclose(outputs, states, atol=1e-10)


@pytest.mark.parametrize("normalization", ["layer", "rms", "group"])
def test_the_future_changes_nothing(normalization):
    other = INPUTS.copy()
    other[:, 3:] = 7.0
    for block, call in (
        (
            encoder(normalization=normalization, num_groups=4),
            {"use_causal_mask": True},
        ),
        (decoder(normalization=normalization, num_groups=4), {"value": VALUE}),
    ):
        first, second = (block(inputs, **call) for inputs in (INPUTS, other))
        np.testing.assert_allclose(first[:, :3], second[:, :3], atol=1e-12)
        assert np.abs(first[:, 3:] - second[:, 3:]).max() > 0.1


@pytest.mark.parametrize("cross", [False, True])
@pytest.mark.parametrize("capacity", [None, 6])
def test_one_step_at_a_time(capacity, cross):
    block = decoder(cross)
    value = {"value": VALUE} if cross else {}
    masked = {"value_mask": VALUE_MASK} if cross else {}
    whole = block(INPUTS, **value, **masked)
    state = block.start(
        **value, **masked, capacity=capacity, batch_size=None if cross else 2
    )
    rows = []
    for first, last in ((0, 1), (1, 2), (2, 5)):
        row, state = block.step(INPUTS[:, first:last], state)
        rows.append(row)
    np.testing.assert_allclose(np.concatenate(rows, 1), whole, atol=1e-12)


def test_attention_is_recorded_by_path():
    block = decoder()
    with record_attention() as scores:
        block(INPUTS, VALUE)
    assert {path: tuple(s.shape) for path, s in scores.items()} == {
        block.self_attention.path: (2, 2, 5, 5),
        block.cross_attention.path: (2, 2, 5, 3),
    }
    assert block.self_attention.path.endswith("/self")


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_fitted_saved_and_loaded(policy, jit, tmp_path):
    keras.utils.set_random_seed(0)
    options = {"dtype": policy, "dropout": 0.1, "stochastic_depth": 0.1}
    source, target = keras.Input((3, 8)), keras.Input((5, 8))
    encoded = EncoderBlock(
        MultiHeadAttention(2, 4, dtype=policy),
        FeedForward(11, gated=True, dtype=policy),
        normalization="batch",
        **options,
    )(source)
    outputs = DecoderBlock(
        MultiHeadAttention(2, 4, dtype=policy),
        MultiHeadAttention(2, 4, dtype=policy),
        FeedForward(11, dtype=policy),
        seed=3,
        **options,
    )(target, encoded)
    model = keras.Model([source, target], outputs)
    before = [np.array(w.numpy()) for w in model.trainable_variables]
    model.compile(keras.optimizers.SGD(1.0), "mse", jit_compile=jit)
    inputs = [DRAW(size=(64, n, 8)).astype("f4") for n in (3, 5)]
    model.fit(inputs, DRAW(size=(64, 5, 8)), verbose=0)
    for weight, old in zip(model.trainable_variables, before):
        # Key biases change all logits of a row alike, so nothing.
        if not weight.path.endswith("key_bias"):
            assert np.abs(weight.numpy() - old).max() > 1e-6, weight.path
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_array_equal(
        tf.cast(model(inputs), "float32"), tf.cast(loaded(inputs), "float32")
    )
    assert [w.path for w in loaded.weights] == [w.path for w in model.weights]


def test_a_memory_is_needed_and_only_then():
    with pytest.raises(ValueError, match="`value` is needed"):
        decoder()(INPUTS)
    with pytest.raises(ValueError, match="only then"):
        decoder(cross=False)(INPUTS, VALUE)

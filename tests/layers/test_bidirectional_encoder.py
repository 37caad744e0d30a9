import keras
import numpy as np
import pytest
import tensorflow as tf

from layers import BidirectionalEncoder

# B 3, 5 steps, 4 input features, 7 units each way; rows of 5, 3 and 1 steps.
INPUTS = np.random.default_rng(0).normal(size=(3, 5, 4))
MASK = np.arange(5)[None, :] < np.array([[5], [3], [1]])
CELLS = ["gru", "lstm", "simple_rnn"]
kinds = pytest.mark.parametrize("cell", CELLS)


def made(cell, dtype="float64"):
    """An encoder whose weights all matter."""
    encoder = BidirectionalEncoder(7, cell=cell, dtype=dtype, name="encoder")
    encoder.build(INPUTS.shape)
    draw = np.random.default_rng(3).normal
    for weight in encoder.trainable_variables:
        weight.assign(draw(scale=0.5, size=weight.shape))
    return encoder


def of_keras(encoder, cell):
    """The same from Keras' layers, with the same weights."""
    options = {
        "return_sequences": True,
        "return_state": True,
        "dtype": "float64",
    }
    layer = {
        "gru": keras.layers.GRU,
        "lstm": keras.layers.LSTM,
        "simple_rnn": keras.layers.SimpleRNN,
    }[cell](7, **options)
    other = keras.layers.Bidirectional(layer, dtype="float64")
    other.build(INPUTS.shape)
    kernels = np.split(encoder.input_projection.kernel.numpy(), 2, axis=1)
    biases = np.split(encoder.input_projection.bias.numpy(), 2)
    for target, kernel, bias, own in zip(
        (other.forward_layer, other.backward_layer),
        kernels,
        biases,
        encoder.cells,
    ):
        recurrent = own.recurrent_kernel.numpy()
        if cell == "gru":
            candidate = np.concatenate(
                [np.zeros(14), own.recurrent_bias.numpy()]
            )
            bias = np.stack([bias, candidate])
        elif cell == "lstm":
            # Ours has the output gate before the candidate.
            order = np.r_[0:14, 21:28, 14:21]
            kernel, recurrent = kernel[:, order], recurrent[:, order]
            bias = bias[order]
        target.set_weights([kernel, recurrent, bias])
    return other


@kinds
@pytest.mark.parametrize("mask", [None, MASK], ids=["whole", "padded"])
def test_equals_that_of_keras(cell, mask):
    encoder = made(cell)
    states, final = encoder(INPUTS, mask=mask)
    expected, *ends = of_keras(encoder, cell)(INPUTS, mask=mask)
    real = np.ones((3, 5), bool) if mask is None else mask
    np.testing.assert_allclose(
        states.numpy()[real], expected.numpy()[real], atol=1e-12
    )
    half = len(ends) // 2  # an LSTM gives its carries too
    np.testing.assert_allclose(
        final, np.concatenate([ends[0], ends[half]], axis=-1), atol=1e-12
    )


@kinds
def test_padding_changes_nothing(cell):
    encoder = made(cell)
    garbage = np.full((3, 2, 4), 1e4)
    longer = encoder(
        np.concatenate([INPUTS, garbage], axis=1),
        mask=np.pad(MASK, [(0, 0), (0, 2)]),
    )
    states, final = encoder(INPUTS, mask=MASK)
    np.testing.assert_allclose(
        longer[0].numpy()[:, :5][MASK], states.numpy()[MASK], atol=1e-12
    )
    np.testing.assert_allclose(longer[1], final, atol=1e-12)
    alone, alone_final = encoder(INPUTS[1:2, :3])
    np.testing.assert_allclose(alone[0], states[1, :3], atol=1e-12)
    np.testing.assert_allclose(alone_final[0], final[1], atol=1e-12)


def test_a_row_of_padding_has_no_state():
    states, final = made("gru")(INPUTS, mask=np.zeros((3, 5), bool))
    np.testing.assert_array_equal(states, np.zeros((3, 5, 14)))
    np.testing.assert_array_equal(final, np.zeros((3, 14)))


def test_implicit_masks():
    ids = np.array([[5, 6, 7, 8, 9], [5, 6, 7, 0, 0]])
    embedded = keras.layers.Embedding(11, 4, mask_zero=True)(ids)
    encoder = made("gru", dtype="float32")
    states, final = encoder(embedded)
    expected, expected_final = encoder(np.asarray(embedded), mask=ids != 0)
    np.testing.assert_array_equal(states, expected)
    np.testing.assert_array_equal(final, expected_final)
    np.testing.assert_array_equal(states._keras_mask, ids != 0)
    assert getattr(final, "_keras_mask", None) is None


@kinds
def test_gradients_equal_finite_differences(cell):
    encoder = made(cell)
    draw = np.random.default_rng(5).normal
    on_states, on_final = draw(size=(3, 5, 14)), draw(size=(3, 14))
    on_states = on_states * MASK[:, :, None]

    @tf.function
    def loss():
        states, final = encoder(INPUTS, mask=MASK)
        return tf.reduce_sum(states * on_states) + tf.reduce_sum(
            final * on_final
        )

    variables = [weight.value for weight in encoder.trainable_variables]
    assert len(variables) == (6 if cell == "gru" else 4)
    with tf.GradientTape() as tape:
        total = loss()
    gradients = tape.gradient(total, variables)
    sizes = [np.abs(gradient).max() for gradient in gradients]
    assert all(size > 1e-3 * max(sizes) for size in sizes)
    for variable, gradient in zip(variables, gradients):
        direction = 1e-5 * draw(size=variable.shape)
        variable.assign_add(direction)
        above = loss()
        variable.assign_sub(2 * direction)
        below = loss()
        variable.assign_add(direction)
        np.testing.assert_allclose(
            np.sum(direction * gradient),
            (above - below) / 2,
            rtol=1e-5,
            atol=1e-13,
        )


@kinds
def test_compiled_at_unknown_length(cell):
    encoder = made(cell, dtype="float32")
    inputs = INPUTS.astype("float32")
    expected = encoder(inputs, mask=MASK)
    signature = [
        tf.TensorSpec([None, None, 4], "float32"),
        tf.TensorSpec([None, None], "bool"),
    ]
    for jit_compile in (False, True):
        call = tf.function(
            lambda inputs, mask: encoder(inputs, mask=mask),
            input_signature=signature,
            jit_compile=jit_compile,
        )
        for left, right in zip(call(inputs, MASK), expected):
            np.testing.assert_allclose(left, right, atol=1e-5)


@kinds
def test_file_and_symbolic_shapes(cell, tmp_path):
    symbol = keras.Input((None, 4))
    outputs = made(cell, dtype="float32")(symbol)
    assert [output.shape for output in outputs] == [
        (None, None, 14),
        (None, 14),
    ]
    model = keras.Model(symbol, outputs)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    inputs = INPUTS.astype("float32")
    for left, right in zip(model(inputs), loaded(inputs)):
        np.testing.assert_array_equal(left, right)


@kinds
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision(cell, policy):
    expected = made(cell)(INPUTS, mask=MASK)
    for left, right in zip(made(cell, policy)(INPUTS, mask=MASK), expected):
        assert left.dtype == policy.removeprefix("mixed_")
        np.testing.assert_allclose(np.asarray(left, "float64"), right, atol=0.1)


@kinds
def test_config(cell):
    encoder = made(cell)
    config = encoder.get_config()
    assert (config["units"], config["cell"]) == (7, cell)
    assert BidirectionalEncoder.from_config(config).get_config() == config


def test_bad_arguments():
    with pytest.raises(ValueError, match="Received: cell=mgu"):
        BidirectionalEncoder(7, cell="mgu")
    with pytest.raises(ValueError, match="`mask` must be boolean"):
        made("gru")(INPUTS, mask=np.ones((3, 5)))

"""Each layer in the model of somebody who has none of ours."""

import inspect

import keras
import numpy as np
import pytest

import layers
from tests.layers.running import array
from tests.layers.running import assert_allclose
from tests.layers.running import BACKEND
from tests.layers.running import dtype_of
from tests.layers.running import JIT

DRAW = np.random.default_rng(0).normal
WORDS = np.array([[3, 4, 5, 6, 0, 0], [7, 3, 3, 0, 0, 0], [1, 2, 3, 4, 5, 6]])
PICTURES = DRAW(size=(3, 8, 8, 3)).astype("float32")


def text(build):
    """A classifier of token ids around `build(states, mask)`."""
    ids = keras.Input((None,), dtype="int32")
    states = keras.layers.Embedding(9, 8)(ids)
    return keras.Model(ids, _head(build(states, ids != 0))), WORDS


def pictures(build):
    """A classifier of pictures around `build(maps)`."""
    inputs = keras.Input((8, 8, 3))
    return keras.Model(inputs, _head(build(inputs))), PICTURES


def _head(states):
    if len(states.shape) > 2:
        axes = tuple(range(1, len(states.shape) - 1))
        states = keras.ops.mean(states, axis=axes)
    return keras.layers.Dense(2, activation="softmax")(states)


def looking(layer):
    return lambda: text(
        lambda states, mask: layer(states, states, value_mask=mask)
    )


def decoder():
    layer = layers.AttentionDecoder(8, layers.AdditiveAttention(8))
    return text(
        lambda states, mask: layer(
            states, states, states[:, 0], value_mask=mask
        )[0]
    )


def relative():
    layer = layers.MultiHeadAttention(
        2, 4, position=layers.RelativePositionBias(2)
    )
    return text(lambda states, mask: layer(states, states, value_mask=mask))


def rotary():
    layer = layers.MultiHeadAttention(2, 4, position=layers.RotaryEmbedding())
    return text(lambda states, mask: layer(states, states, value_mask=mask))


def encoder_block():
    block = layers.EncoderBlock(
        layers.MultiHeadAttention(2, 4),
        layers.FeedForward(16),
        stochastic_depth=0.1,
    )
    return text(lambda states, mask: block(states, mask=mask))


def decoder_block():
    block = layers.DecoderBlock(
        layers.MultiHeadAttention(2, 4),
        layers.MultiHeadAttention(2, 4),
        layers.FeedForward(16),
    )
    return text(lambda states, mask: block(states, states, value_mask=mask))


def recurrent_cell():
    cell = layers.RecurrentCell(8)

    def build(states, mask):
        gates = keras.layers.Dense(cell.input_dim)(states)
        return cell(gates[:, 0], [states[:, 0]])[0]

    return text(build)


def patches():
    def build(inputs):
        states = layers.PatchEmbedding(4, 8)(inputs)
        return layers.ClassToken()(states)

    return pictures(build)


def places():
    def build(inputs):
        states = layers.ShiftedPatchEmbedding(2, 8)(inputs)
        states = layers.PositionEmbedding2D((2, 2))(states, grid_shape=(4, 4))
        return layers.SinusoidalPositionEncoding2D()(states)

    return pictures(build)


def dropped():
    return text(
        lambda states, mask: layers.Dropout(0.1)(
            layers.StochasticDepth(0.1)(states)
        )
    )


MODELS = {
    "AdditiveAttention": looking(layers.AdditiveAttention(8)),
    "AttentionDecoder": decoder,
    "AttentionPooling": lambda: text(
        lambda states, mask: layers.AttentionPooling()(states, mask=mask)
    ),
    "ClassToken": patches,
    "ConcatAttention": looking(layers.ConcatAttention(8)),
    "ConvolutionalTokenizer": lambda: pictures(
        layers.ConvolutionalTokenizer(8, num_layers=2, filters=4)
    ),
    "DecoderBlock": decoder_block,
    "DotProductAttention": looking(layers.DotProductAttention(units=8)),
    "Dropout": dropped,
    "EncoderBlock": encoder_block,
    "FeedForward": encoder_block,
    "LocalAttention": looking(layers.LocalAttention(2, alignment="predictive")),
    "LocationAttention": looking(layers.LocationAttention(6)),
    "MixtureOfAttentionHeads": looking(
        layers.MixtureOfAttentionHeads(4, 2, key_dim=4)
    ),
    "MultiHeadAttention": looking(layers.MultiHeadAttention(2, 4)),
    "MultiplicativeAttention": looking(layers.MultiplicativeAttention()),
    "PatchEmbedding": patches,
    "PositionEmbedding": lambda: text(
        lambda states, mask: layers.PositionEmbedding(6)(states)
    ),
    "PositionEmbedding2D": places,
    "RecurrentCell": recurrent_cell,
    "RelativePositionBias": relative,
    "RotaryEmbedding": rotary,
    "SelfAttention2D": lambda: pictures(layers.SelfAttention2D()),
    "ShiftedPatchEmbedding": places,
    "SinusoidalPositionEncoding": lambda: text(
        lambda states, mask: layers.SinusoidalPositionEncoding()(states)
    ),
    "SinusoidalPositionEncoding2D": places,
    "StochasticDepth": dropped,
}
WITHOUT_ATTENTION = {
    "ClassToken",
    "ConvolutionalTokenizer",
    "Dropout",
    "PatchEmbedding",
    "PositionEmbedding",
    "PositionEmbedding2D",
    "RecurrentCell",
    "ShiftedPatchEmbedding",
    "SinusoidalPositionEncoding",
    "SinusoidalPositionEncoding2D",
    "StochasticDepth",
}


def test_no_layer_is_missing():
    public = {
        name
        for name in layers.__all__
        if inspect.isclass(getattr(layers, name))
    }
    assert set(MODELS) == public


@pytest.mark.check("compiled")
@pytest.mark.check("saved")
@pytest.mark.parametrize("name", MODELS)
def test_fitted_recorded_saved_loaded_and_exported(name, tmp_path):
    keras.utils.set_random_seed(1)
    model, inputs = MODELS[name]()
    labels = np.array([0, 1, 1])
    model.compile("adam", "sparse_categorical_crossentropy", jit_compile=JIT[0])
    history = model.fit(inputs, labels, epochs=8, verbose=0).history["loss"]
    assert history[-1] < history[0]
    expected = array(model(inputs))
    # Its attention, if it has one.
    with layers.record_attention() as scores:
        model(inputs)
    assert bool(scores) != (name in WITHOUT_ATTENTION)
    for tensor in scores.values():
        assert len(tensor.shape) == 4 and dtype_of(tensor) == "float32"
        # Rows sum to 1, where a query may look anywhere, or less.
        assert array(tensor).sum(axis=-1).max() < 1.001
    # Saved and loaded by Keras.
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    assert_allclose(loaded(inputs), expected, atol=1e-6)
    with layers.record_attention() as again:
        loaded(inputs)
    assert list(again) == list(scores)
    if BACKEND != "tensorflow":
        return
    import tensorflow as tf

    # Exported, and run without Keras.
    model.export(tmp_path / "export", verbose=False)
    exported = tf.saved_model.load(tmp_path / "export")
    assert_allclose(exported.serve(inputs), expected, atol=1e-6)

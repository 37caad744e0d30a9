import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

import layers

ONES = np.ones((40, 50), "float32")


def compiled(function, jit):
    return tf.function(function, jit_compile=jit)


@pytest.mark.parametrize("jit", [False, True])
def test_a_fraction_is_dropped_and_the_rest_scaled(jit):
    layer = layers.Dropout(0.3, seed=1)
    outputs = compiled(lambda x: layer(x, training=True), jit)(ONES).numpy()
    assert set(np.unique(outputs)) == {0, np.float32(1 / 0.7)}
    # 2,000 draws: three standard deviations are 0.031.
    assert abs((outputs == 0).mean() - 0.3) < 0.031
    # Neither rows nor columns repeat.
    assert len(np.unique(outputs, axis=0)) == 40
    assert len(np.unique(outputs, axis=1).T) == 50


@pytest.mark.parametrize("jit", [False, True])
def test_each_call_drops_others_and_the_seed_repeats_them(jit):
    first, second = (layers.Dropout(0.5, seed=7) for _ in range(2))
    calls = []
    for each in (first, second):
        call = compiled(functools.partial(each, training=True), jit)
        calls.append([call(ONES).numpy(), each(ONES, training=True).numpy()])
    np.testing.assert_array_equal(calls[0], calls[1])
    assert (calls[0][0] != calls[0][1]).mean() > 0.4


def test_only_in_training():
    layer = layers.Dropout(0.5)
    np.testing.assert_array_equal(layer(ONES), ONES)
    np.testing.assert_array_equal(layer(ONES, training=False), ONES)
    nothing = layers.Dropout(0.0)
    np.testing.assert_array_equal(nothing(ONES, training=True), ONES)
    everything = layers.Dropout(1.0)
    assert not everything(ONES, training=True).numpy().any()


def test_what_is_not_dropped_has_the_gradient():
    layer = layers.Dropout(0.4, seed=2)
    inputs = tf.constant(ONES)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = layer(inputs, training=True)
    np.testing.assert_array_equal(tape.gradient(outputs, inputs), outputs)


def test_noise_shape():
    layer = layers.Dropout(0.5, noise_shape=(None, 1), seed=0)
    outputs = layer(ONES, training=True).numpy()
    assert (outputs == outputs[:, :1]).all()
    assert 0 < (outputs[:, 0] == 0).mean() < 1


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("jit", [False, True])
def test_half_precision(dtype, jit):
    # The rate is exact: numbers drawn in 8 bits would shift it.
    layer = layers.Dropout(0.1, seed=3, dtype=f"mixed_{dtype}")
    inputs = np.ones((300, 300), "float32")
    outputs = compiled(lambda x: layer(x, training=True), jit)(inputs)
    assert outputs.dtype == dtype
    share = float(np.mean(np.asarray(outputs, "float32") == 0))
    # 90,000 draws: three standard deviations are 0.003.
    assert abs(share - 0.1) < 0.003


def test_saved_and_loaded(tmp_path):
    inputs = keras.Input((50,))
    model = keras.Model(inputs, layers.Dropout(0.5, seed=7)(inputs))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(
        model(ONES, training=True), loaded(ONES, training=True)
    )


@pytest.mark.parametrize("jit", [False, True])
def test_lengths_known_in_the_graph_only(jit):
    @tf.function(
        jit_compile=jit,
        input_signature=[tf.TensorSpec((None, None, 3), "float32")],
    )
    def drop_half(x):
        return layer(x, training=True)

    layer = layers.Dropout(0.5, seed=1)
    outputs = drop_half(np.ones((20, 50, 3), "float32")).numpy()
    assert abs((outputs == 0).mean() - 0.5) < 0.03

import functools

import keras
import numpy as np
import pytest
from keras import ops

import layers
from tests.layers.running import array
from tests.layers.running import assert_array_equal
from tests.layers.running import compiled
from tests.layers.running import dtype_of
from tests.layers.running import each_jit
from tests.layers.running import JIT
from tests.layers.running import outputs_and_gradients

ONES = np.ones((40, 50), "float32")


@pytest.mark.check("equation")
@pytest.mark.parametrize("jit", [None, *JIT])
def test_a_fraction_is_dropped_and_the_rest_scaled(jit):
    layer = layers.Dropout(0.3, seed=1)
    call = compiled(lambda x: layer(x, training=True), jit)
    outputs = array(call(ONES))
    assert set(np.unique(outputs)) == {0, np.float32(1 / 0.7)}
    # 2,000 draws: three standard deviations are 0.031.
    assert abs((outputs == 0).mean() - 0.3) < 0.031
    # Neither rows nor columns repeat.
    assert len(np.unique(outputs, axis=0)) == 40
    assert len(np.unique(outputs, axis=1).T) == 50


@pytest.mark.check("equation")
@each_jit
def test_each_call_drops_others_and_the_seed_repeats_them(jit):
    calls = []
    for layer in (layers.Dropout(0.5, seed=7), layers.Dropout(0.5, seed=7)):
        drop = functools.partial(layer, training=True)
        call = compiled(drop, jit, variables=layer.variables)
        calls.append([array(call(ONES)), array(drop(ONES))])
    assert_array_equal(calls[0], calls[1])
    assert (calls[0][0] != calls[0][1]).mean() > 0.4


@pytest.mark.check("equation")
def test_only_in_training():
    layer = layers.Dropout(0.5)
    assert_array_equal(layer(ONES), ONES)
    assert_array_equal(layer(ONES, training=False), ONES)
    nothing = layers.Dropout(0.0)
    assert_array_equal(nothing(ONES, training=True), ONES)
    everything = layers.Dropout(1.0)
    assert not array(everything(ONES, training=True)).any()


@pytest.mark.check("gradients")
def test_what_is_not_dropped_has_the_gradient():
    layer = layers.Dropout(0.4, seed=2)

    def call(inputs):
        outputs = layer(inputs, training=True)
        return ops.sum(outputs), outputs

    outputs, (gradient,), _ = outputs_and_gradients(call, [ONES])
    assert_array_equal(gradient, outputs)
    assert 0 < (outputs == 0).mean() < 1


@pytest.mark.check("equation")
def test_noise_shape():
    layer = layers.Dropout(0.5, noise_shape=(None, 1), seed=0)
    outputs = array(layer(ONES, training=True))
    assert (outputs == outputs[:, :1]).all()
    assert 0 < (outputs[:, 0] == 0).mean() < 1


@pytest.mark.check("precision")
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@each_jit
def test_half_precision(dtype, jit):
    # The rate is exact: numbers drawn in 8 bits would shift it.
    layer = layers.Dropout(0.1, seed=3, dtype=f"mixed_{dtype}")
    inputs = np.ones((300, 300), "float32")
    outputs = compiled(lambda x: layer(x, training=True), jit)(inputs)
    assert dtype_of(outputs) == dtype
    share = float(np.mean(array(outputs, "float32") == 0))
    # 90,000 draws: three standard deviations are 0.003.
    assert abs(share - 0.1) < 0.003


@pytest.mark.check("saved")
def test_saved_and_loaded(tmp_path):
    inputs = keras.Input((50,))
    model = keras.Model(inputs, layers.Dropout(0.5, seed=7)(inputs))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert_array_equal(model(ONES, training=True), loaded(ONES, training=True))


@pytest.mark.check("compiled")
@pytest.mark.tensorflow
@each_jit
def test_lengths_known_in_the_graph_only(jit):
    layer = layers.Dropout(0.5, seed=1)
    symbols = [keras.KerasTensor((None, None, 3))]
    call = compiled(lambda x: layer(x, training=True), jit, symbols)
    outputs = array(call(np.ones((20, 50, 3), "float32")))
    assert abs((outputs == 0).mean() - 0.5) < 0.03


@pytest.mark.check("bad input")
def test_bad_input():
    for rate in (-0.1, 1.5):
        with pytest.raises(ValueError, match=f"rate={rate}"):
            layers.Dropout(rate)

import functools
import json

import keras
import numpy as np
import pytest
from keras import ops

from layers.stochastic_depth import StochasticDepth
from tests.layers.running import array
from tests.layers.running import assert_allclose
from tests.layers.running import assert_array_equal
from tests.layers.running import compiled
from tests.layers.running import dtype_of
from tests.layers.running import each_jit
from tests.layers.running import mask_of
from tests.layers.running import outputs_and_gradients

ONES = np.ones((1000, 3, 5), "float32")


@pytest.mark.check("equation")
@each_jit
@pytest.mark.parametrize("shape", [(1000, 3, 5), (1000,), (1000, 2, 1, 3, 2)])
def test_whole_samples_are_dropped_and_the_rest_scaled(jit, shape):
    layer = StochasticDepth(0.3, seed=1)
    call = compiled(lambda x: layer(x, training=True), jit)
    outputs = array(call(np.ones(shape, "float32"))).reshape(1000, -1)
    assert set(np.unique(outputs)) == {0, np.float32(1 / 0.7)}
    assert (outputs == outputs[:, :1]).all()
    dropped = outputs[:, 0] == 0
    # 1,000 draws: three standard deviations are 0.044.
    assert abs(dropped.mean() - 0.3) < 0.044
    # Neighbours are dropped apart: 0.3 * 0.3 of the pairs are both dropped.
    assert abs((dropped[1:] & dropped[:-1]).mean() - 0.09) < 0.04


@pytest.mark.check("equation")
def test_only_in_training():
    layer = StochasticDepth(0.5)
    for options in ({}, {"training": False}):
        assert_array_equal(layer(ONES, **options), ONES)
    nothing = StochasticDepth(0.0)
    assert not nothing.variables
    assert_array_equal(nothing(ONES, training=True), ONES)


def test_follows_the_model_around_it():
    symbols = keras.Input((None, 5))
    outputs = StochasticDepth(0.5, seed=2)(symbols)
    assert outputs.shape == (None, None, 5)
    model = keras.Model(symbols, outputs)
    assert_array_equal(model(ONES), ONES)
    assert_array_equal(model.predict(ONES, verbose=0), ONES)
    assert 0.4 < np.mean(array(model(ONES, training=True)) == 0) < 0.6


@pytest.mark.check("equation")
@each_jit
def test_each_call_drops_others_and_the_seed_repeats_them(jit):
    calls = []
    for layer in (StochasticDepth(0.5, seed=7), StochasticDepth(0.5, seed=7)):
        drop = functools.partial(layer, training=True)
        call = compiled(drop, jit, variables=layer.variables)
        calls.append([array(call(ONES)), array(drop(ONES))])
    assert_array_equal(calls[0], calls[1])
    assert 0.4 < (calls[0][0] != calls[0][1]).mean() < 0.6


@pytest.mark.check("gradients")
def test_a_dropped_branch_gets_no_gradient():
    layer = StochasticDepth(0.4, seed=2)

    def call(inputs):
        outputs = layer(inputs, training=True)
        return ops.sum(outputs), outputs

    outputs, (gradient,), _ = outputs_and_gradients(call, [ONES])
    assert_array_equal(gradient, outputs)
    assert 0 < np.mean(array(outputs) == 0) < 1


@pytest.mark.check("precision")
@pytest.mark.parametrize("policy", ["mixed_float16", "bfloat16", "float64"])
@each_jit
def test_precision(policy, jit):
    layer = StochasticDepth(0.25, seed=3, dtype=policy)
    call = compiled(lambda x: layer(x, training=True), jit)
    outputs = call(ops.ones((1000, 2), dtype=layer.compute_dtype))
    assert dtype_of(outputs) == layer.compute_dtype
    outputs = array(outputs, "float64")
    share = (outputs == 0).mean()
    # 1,000 draws: three standard deviations are 0.041.
    assert abs(share - 0.25) < 0.041
    unit = {"bfloat16": 2**-8, "float16": 2**-11, "float64": 1e-15}
    assert_allclose(
        outputs[outputs != 0], 1 / 0.75, rtol=unit[layer.compute_dtype]
    )


@pytest.mark.check("compiled")
@pytest.mark.tensorflow
@each_jit
def test_lengths_known_in_the_graph_only(jit):
    layer = StochasticDepth(0.5, seed=1)
    symbols = [keras.KerasTensor((None, None, 3))]
    call = compiled(lambda x: layer(x, training=True), jit, symbols)
    outputs = array(call(np.ones((200, 4, 3), "float32")))
    assert (outputs == outputs[:, :1, :1]).all()
    assert 0.35 < (outputs == 0).mean() < 0.65


@pytest.mark.check("saved")
def test_config_and_file(tmp_path):
    layer = StochasticDepth(0.5, seed=7, name="drop_path", dtype="float32")
    config = layer.get_config()
    assert set(config) == {"name", "trainable", "dtype", "rate", "seed"}
    assert (config["rate"], config["seed"]) == (0.5, 7)
    assert StochasticDepth.from_config(config).get_config() == config
    assert json.loads(json.dumps(config)) == config
    symbols = keras.Input((3, 5))
    model = keras.Model(symbols, layer(symbols))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert_array_equal(model(ONES, training=True), loaded(ONES, training=True))


@pytest.mark.check("masks")
def test_mask_stays():
    ids = np.array([[1, 2, 0], [3, 0, 0]])
    embedded = keras.layers.Embedding(4, 5, mask_zero=True)(ids)
    outputs = StochasticDepth(0.5)(embedded, training=True)
    assert_array_equal(mask_of(outputs), ids != 0)


@pytest.mark.check("bad input")
@pytest.mark.parametrize("rate", [-0.1, 1.0, 1.5])
def test_bad_input(rate):
    message = rf"range \[0, 1\)\. Received: rate={rate}"
    with pytest.raises(ValueError, match=message):
        StochasticDepth(rate)

import json

import keras
import numpy as np
import pytest
from keras import ops

from layers.class_token import ClassToken
from tests.layers.running import array
from tests.layers.running import assert_allclose
from tests.layers.running import assert_array_equal
from tests.layers.running import dtype_of
from tests.layers.running import each_jit
from tests.layers.running import gradients
from tests.layers.running import graphs
from tests.layers.running import mask_of
from tests.layers.running import weighted_sum

TOKENS = np.random.default_rng(1).normal(size=(3, 7))


def draw(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def made(**options):
    layer = ClassToken(3, **options)
    layer.build((None, None, 7))
    layer.set_weights([TOKENS])
    return layer


def joined(inputs):
    """One row at a time."""
    batch_size, length, dim = inputs.shape
    outputs = np.zeros((batch_size, 3 + length, dim))
    for sample, row in np.ndindex(batch_size, 3 + length):
        source = TOKENS[row] if row < 3 else inputs[sample, row - 3]
        outputs[sample, row] = source
    return outputs


@pytest.mark.check("equation")
@pytest.mark.check("compiled")
def test_all_ways_to_run_put_the_tokens_in_front():
    layer = made()
    symbols = keras.Input((None, 7))
    model = keras.Model(symbols, layer(symbols))
    inputs = draw(2, 5, 7)
    for run in (
        layer,
        model,
        lambda inputs: model.predict(inputs, verbose=0),
        *graphs(layer, [symbols]),
    ):
        assert_allclose(run(inputs), joined(inputs), rtol=1e-6)


@pytest.mark.check("compiled")
@pytest.mark.parametrize("length", [5, None])
def test_symbolic_shape(length):
    assert made()(keras.Input((length, 7))).shape == (
        *(None, None if length is None else 8, 7),
    )
    assert made()(keras.Input(batch_shape=(2, 5, 7))).shape == (2, 8, 7)


def test_weights():
    (weight,) = made().weights
    assert (weight.name, weight.shape) == ("tokens", (3, 7))
    one = ClassToken()
    assert one(draw(2, 5, 7)).shape == (2, 6, 7)


def test_layers_with_one_initializer_start_apart():
    initializer = keras.initializers.RandomNormal(stddev=2.0)
    tokens = []
    for _ in range(2):
        layer = ClassToken(50, initializer=initializer)
        layer.build((None, None, 40))
        tokens.append(layer.get_weights()[0])
    assert np.abs(tokens[0] - tokens[1]).max() > 1
    # 2,000 numbers: three standard errors are 0.1.
    assert abs(tokens[0].std() - 2) < 0.1


@pytest.mark.check("gradients")
@each_jit
def test_gradients(jit):
    layer = made(dtype="float64")
    direction = np.random.default_rng(2).normal(size=(2, 8, 7))
    (at_inputs,), (at_tokens,) = gradients(
        lambda inputs: weighted_sum(layer(inputs), direction),
        [np.zeros((2, 5, 7))],
        layer.weights,
        jit,
    )
    expected = np.zeros((3, 7))
    for sample in range(2):
        expected += direction[sample, :3]
    assert_allclose(at_tokens, expected, atol=1e-14)
    assert_array_equal(at_inputs, direction[:, 3:])


@pytest.mark.check("precision")
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "float16", "float64"])
def test_precision(policy):
    layer = made(dtype=policy)
    outputs = layer(draw(2, 5, 7))
    assert dtype_of(outputs) == layer.compute_dtype
    unit = {"bfloat16": 2**-8, "float16": 2**-11, "float64": 1e-15}
    assert_allclose(
        array(outputs, "float64"),
        joined(draw(2, 5, 7)),
        rtol=unit[layer.compute_dtype],
    )


@pytest.mark.check("masks")
def test_mask_is_true_in_front():
    ids = np.array([[1, 2, 0], [3, 0, 0]])
    table = keras.layers.Embedding(4, 7, mask_zero=True)
    expected = [[1, 1, 1, 1, 1, 0], [1, 1, 1, 1, 0, 0]]
    mask = mask_of(made()(table(ids)))
    assert dtype_of(mask) == "bool"
    assert_array_equal(mask, np.array(expected, bool))
    assert mask_of(made()(draw(2, 3, 7))) is None
    # And in a model, of unknown length.
    symbols = keras.Input((None,))
    outputs = made()(table(symbols))
    masked_sum = keras.layers.GlobalAveragePooling1D()(outputs)
    model = keras.Model(symbols, [outputs, masked_sum])
    rows, mean = model(ids)
    assert_allclose(mean[1], np.mean(array(rows)[1, :4], axis=0), atol=1e-6)


@pytest.mark.check("saved")
def test_config_and_file(tmp_path):
    layer = made(initializer="zeros", name="front", dtype="float64")
    config = layer.get_config()
    assert set(config) == {
        *("name", "trainable", "dtype", "num_tokens", "initializer")
    }
    assert config["num_tokens"] == 3
    assert config["initializer"]["class_name"] == "Zeros"
    assert ClassToken.from_config(config).get_config() == config
    assert json.loads(json.dumps(config)) == config
    symbols = keras.Input((None, 7), dtype="float64")
    model = keras.Model(symbols, layer(symbols))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    inputs = draw(2, 5, 7).astype("float64")
    assert_array_equal(loaded(inputs), joined(inputs))


@pytest.mark.check("bad input")
def test_bad_input():
    with pytest.raises(ValueError, match=r"1\. Received: num_tokens=0"):
        ClassToken(0)
    with pytest.raises(ValueError, match="expected ndim=3, found ndim=2"):
        ClassToken()(ops.zeros((2, 7)))

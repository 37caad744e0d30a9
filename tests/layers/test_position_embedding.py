import json

import keras
import numpy as np
import pytest
from keras import ops

from layers.position_embedding import PositionEmbedding
from tests.layers.running import array
from tests.layers.running import assert_allclose
from tests.layers.running import assert_array_equal
from tests.layers.running import BACKEND
from tests.layers.running import compiled
from tests.layers.running import dtype_of
from tests.layers.running import each_jit
from tests.layers.running import gradients
from tests.layers.running import graphs
from tests.layers.running import JIT
from tests.layers.running import JIT_COMPILE
from tests.layers.running import mask_of
from tests.layers.running import weighted_sum

LAST = 5
TABLE = np.random.default_rng(1).normal(size=(LAST, 7))


def draw(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def made(**options):
    layer = PositionEmbedding(LAST, **options)
    layer.build((None, None, 7))
    layer.set_weights([TABLE])
    return layer


def shifted(inputs, start_index=0):
    """One row at a time."""
    outputs = np.array(inputs, "float64")
    for sample, row in np.ndindex(inputs.shape[:2]):
        outputs[sample, row] += TABLE[start_index + row]
    return outputs


@pytest.mark.check("equation")
@pytest.mark.parametrize("start_index", [0, 2])
@pytest.mark.parametrize("as_tensor", [False, True])
def test_adds_the_vector_of_each_position(start_index, as_tensor):
    inputs = draw(2, 3, 7)
    start = ops.convert_to_tensor(start_index) if as_tensor else start_index
    assert_allclose(
        made()(inputs, start_index=start),
        shifted(inputs, start_index),
        atol=1e-6,
    )


def test_weights():
    (weight,) = made().weights
    assert (weight.name, weight.shape) == ("embeddings", (LAST, 7))


def test_layers_with_one_initializer_start_apart():
    initializer = keras.initializers.RandomNormal(stddev=2.0)
    tables = []
    for _ in range(2):
        layer = PositionEmbedding(50, initializer=initializer)
        layer.build((None, None, 40))
        tables.append(layer.get_weights()[0])
    assert np.abs(tables[0] - tables[1]).max() > 1
    # 2,000 numbers: three standard errors are 0.1.
    assert abs(tables[0].std() - 2) < 0.1


@pytest.mark.check("gradients")
@each_jit
def test_gradient_is_the_sum_over_the_batch(jit):
    layer = made(dtype="float64")
    direction = np.random.default_rng(2).normal(size=(2, 3, 7))

    inputs = draw(2, 3, 7).astype("float64")
    _, [actual] = gradients(
        lambda inputs: weighted_sum(layer(inputs, start_index=1), direction),
        [inputs],
        [layer.embeddings],
        jit,
    )
    expected = np.zeros((LAST, 7))
    for sample, row in np.ndindex(2, 3):
        expected[1 + row] += direction[sample, row]
    assert_allclose(actual, expected, atol=1e-14)
    assert np.abs(expected[1:4]).min() > 1e-3


@pytest.mark.check("cache")
@each_jit
def test_step_by_step(jit):
    layer = made()
    inputs = draw(2, LAST, 7)
    step = compiled(lambda part, index: layer(part, start_index=index), jit)
    for index in range(LAST):
        rows = slice(index, index + 1)
        assert_allclose(
            step(inputs[:, rows], ops.convert_to_tensor(index)),
            shifted(inputs)[:, rows],
            atol=1e-6,
        )


@pytest.mark.check("compiled")
def test_all_ways_to_run_agree():
    layer = made()
    symbols = keras.Input((None, 7))
    outputs = layer(symbols)
    assert outputs.shape == (None, None, 7)
    model = keras.Model(symbols, outputs)
    inputs = draw(2, 3, 7)
    signature = [keras.Input((None, 7))]
    for run in (
        layer,
        model,
        lambda inputs: model.predict(inputs, verbose=0),
        *graphs(layer, signature),
    ):
        assert_allclose(run(inputs), shifted(inputs), atol=1e-6)


@pytest.mark.check("precision")
@pytest.mark.parametrize(
    "policy, tolerance",
    [("mixed_bfloat16", 0.04), ("mixed_float16", 4e-3), ("float64", 1e-14)],
)
def test_precision(policy, tolerance):
    layer = made(dtype=policy)
    inputs = draw(2, 3, 7).astype(layer.compute_dtype)
    outputs = layer(inputs)
    assert dtype_of(outputs) == layer.compute_dtype
    assert_allclose(
        array(outputs, "float64"),
        shifted(array(inputs, "float64")),
        atol=tolerance,
    )


@pytest.mark.check("gradients")
def test_a_fit_moves_the_positions_that_were_seen():
    layer = made()
    symbols = keras.Input((None, 7))
    model = keras.Model(symbols, layer(symbols))
    model.compile(keras.optimizers.SGD(1.0), "mse", jit_compile=JIT_COMPILE)
    model.fit(draw(2, 3, 7), np.zeros((2, 3, 7)), verbose=0)
    moved = np.abs(layer.get_weights()[0] - TABLE).max(axis=1)
    assert (moved[:3] > 1e-3).all()
    assert_allclose(moved[3:], 0, atol=1e-6)


@pytest.mark.check("saved")
def test_config_and_file(tmp_path):
    layer = made(initializer="zeros", name="places", dtype="float64")
    config = layer.get_config()
    assert set(config) == {
        *("name", "trainable", "dtype", "max_length", "initializer")
    }
    assert config["max_length"] == LAST
    assert config["initializer"]["class_name"] == "Zeros"
    assert PositionEmbedding.from_config(config).get_config() == config
    assert json.loads(json.dumps(config)) == config
    symbols = keras.Input((None, 7), dtype="float64")
    model = keras.Model(symbols, layer(symbols))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    inputs = draw(2, 3, 7).astype("float64")
    assert_allclose(loaded(inputs), shifted(inputs), atol=1e-14)


@pytest.mark.check("masks")
def test_mask_stays():
    ids = np.array([[1, 2, 0], [3, 0, 0]])
    embedded = keras.layers.Embedding(4, 7, mask_zero=True)(ids)
    assert_array_equal(mask_of(made()(embedded)), ids != 0)


@pytest.mark.check("bad input")
def test_positions_that_have_no_vector():
    layer = made()
    given = "max_length=5, start_index={}, length={}"
    for start_index, length in ((0, 6), (3, 3), (-1, 3), (5, 1)):
        message = "All positions .* Received: " + given
        inputs = ops.zeros((2, length, 7))
        message = message.format(start_index, length)
        for start in (start_index, ops.convert_to_tensor(start_index)):
            with pytest.raises(ValueError, match=message):
                layer(inputs, start_index=start)
    step = compiled(lambda part, at: layer(part, start_index=at), JIT[0])
    # A graph knows the length, not the start.
    message = given.format("None" if BACKEND != "torch" else 0, 6)
    with pytest.raises(ValueError, match=message):
        step(ops.zeros((2, 6, 7)), ops.convert_to_tensor(0))
    with pytest.raises(ValueError, match=given.format(0, 6)):
        layer(keras.Input((6, 7)))


@pytest.mark.check("bad input")
@pytest.mark.tensorflow
def test_positions_that_have_no_vector_in_a_graph():
    import tensorflow as tf

    layer = made()
    call = compiled(
        lambda inputs: layer(inputs, start_index=3),
        False,
        [keras.Input((None, 7))],
    )
    inputs = draw(2, 2, 7)
    assert_allclose(call(inputs), shifted(inputs, 3), atol=1e-6)
    with pytest.raises(tf.errors.InvalidArgumentError):
        call(draw(2, 3, 7))


@pytest.mark.check("bad input")
def test_bad_input():
    with pytest.raises(ValueError, match=r"1\. Received: max_length=0"):
        PositionEmbedding(0)
    with pytest.raises(ValueError, match="expected ndim=3, found ndim=2"):
        PositionEmbedding(3)(ops.zeros((2, 7)))
    with pytest.raises(ValueError, match="one number for the whole batch"):
        made()(ops.zeros((2, 3, 7)), start_index=ops.arange(3))

import json

import keras
import numpy as np
import pytest
from keras import ops

from layers import SinusoidalPositionEncoding
from layers.sinusoidal_position_encoding_2d import SinusoidalPositionEncoding2D
from tests.layers.running import array
from tests.layers.running import assert_allclose
from tests.layers.running import assert_array_equal
from tests.layers.running import dtype_of
from tests.layers.running import each_jit
from tests.layers.running import gradients
from tests.layers.running import graphs
from tests.layers.running import weighted_sum

DIM = 10


def draw(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def wave(position, feature):
    """PE of half of the features, one number at a time."""
    angle = position / 10000 ** (2 * (feature // 2) / (DIM // 2))
    return np.cos(angle) if feature % 2 else np.sin(angle)


def shifted(inputs, rows, columns, num_prefix_tokens=0):
    outputs = np.array(inputs, "float64")
    for row, column, feature in np.ndindex(rows, columns, DIM // 2):
        place = num_prefix_tokens + row * columns + column
        outputs[:, place, feature] += wave(row, feature)
        outputs[:, place, DIM // 2 + feature] += wave(column, feature)
    return outputs


@pytest.mark.check("equation")
@pytest.mark.parametrize("grid_shape", [(3, 4), (1, 12), (12, 1)])
@pytest.mark.parametrize("num_prefix_tokens", [0, 2])
def test_adds_the_waves_of_row_and_column(grid_shape, num_prefix_tokens):
    layer = SinusoidalPositionEncoding2D(num_prefix_tokens)
    inputs = draw(2, num_prefix_tokens + 12, DIM)
    assert_allclose(
        layer(inputs, grid_shape=grid_shape),
        shifted(inputs, *grid_shape, num_prefix_tokens),
        atol=1e-6,
    )
    assert layer.weights == []


@pytest.mark.check("equation")
def test_a_square_needs_no_grid():
    inputs = draw(2, 10, DIM)
    layer = SinusoidalPositionEncoding2D(1)
    assert_allclose(layer(inputs), shifted(inputs, 3, 3, 1), atol=1e-6)


@pytest.mark.check("peer", layers=["SinusoidalPositionEncoding2D"])
def test_halves_are_those_of_a_sequence():
    zeros = ops.zeros((1, 35, DIM))
    found = array(SinusoidalPositionEncoding2D()(zeros, grid_shape=(5, 7)))
    found = found.reshape(5, 7, DIM)
    one = SinusoidalPositionEncoding()
    rows = array(one(ops.zeros((1, 5, DIM // 2))))[0]
    columns = array(one(ops.zeros((1, 7, DIM // 2))))[0]
    for place in range(7):
        assert_allclose(found[:, place, : DIM // 2], rows, atol=1e-6)
    for place in range(5):
        assert_allclose(found[place, :, DIM // 2 :], columns, atol=1e-6)


@pytest.mark.check("compiled")
def test_all_ways_to_run_agree():
    layer = SinusoidalPositionEncoding2D(1)
    inputs = draw(2, 13, DIM)
    expected = shifted(inputs, 3, 4, 1)

    def call(inputs):
        return layer(inputs, grid_shape=(3, 4))

    symbols = keras.Input((13, DIM))
    outputs = call(symbols)
    assert outputs.shape == (None, 13, DIM)
    for run in (call, keras.Model(symbols, outputs), *graphs(call)):
        assert_allclose(run(inputs), expected, atol=1e-6)


@pytest.mark.check("compiled")
@pytest.mark.tensorflow
def test_a_grid_that_the_graph_alone_knows():
    import tensorflow as tf

    layer = SinusoidalPositionEncoding2D(1)

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, None, DIM]),
            tf.TensorSpec([], "int32"),
            tf.TensorSpec([], "int32"),
        ]
    )
    def call(inputs, rows, columns):
        return layer(inputs, grid_shape=(rows, columns))

    inputs = draw(2, 13, DIM)
    assert_allclose(call(inputs, 3, 4), shifted(inputs, 3, 4, 1), atol=1e-6)
    with pytest.raises(tf.errors.InvalidArgumentError):
        call(inputs, 3, 5)


@pytest.mark.check("gradients")
@each_jit
def test_gradient_is_handed_on(jit):
    layer = SinusoidalPositionEncoding2D(dtype="float64")
    direction = np.random.default_rng(1).normal(size=(2, 9, DIM))
    [found], _ = gradients(
        lambda inputs: weighted_sum(layer(inputs), direction),
        [np.zeros((2, 9, DIM))],
        jit=jit,
    )
    assert_array_equal(found, direction)


@pytest.mark.check("precision")
@pytest.mark.parametrize(
    "policy, tolerance",
    [("mixed_bfloat16", 2**-7), ("float16", 2**-10), ("float64", 1e-13)],
)
def test_precision(policy, tolerance):
    layer = SinusoidalPositionEncoding2D(dtype=policy)
    # Far out, where angles in half precision would be of other positions.
    outputs = layer(np.zeros((1, 2 * 601, DIM)), grid_shape=(2, 601))
    assert dtype_of(outputs) == layer.compute_dtype
    assert_allclose(
        array(outputs, "float64"),
        shifted(np.zeros((1, 2 * 601, DIM)), 2, 601),
        atol=tolerance,
    )


@pytest.mark.check("saved")
def test_config_and_file(tmp_path):
    layer = SinusoidalPositionEncoding2D(2, 50, name="waves", dtype="float64")
    config = layer.get_config()
    assert set(config) == {
        *("name", "trainable", "dtype", "num_prefix_tokens", "max_wavelength")
    }
    assert (config["num_prefix_tokens"], config["max_wavelength"]) == (2, 50)
    again = SinusoidalPositionEncoding2D.from_config(
        json.loads(json.dumps(config))
    )
    assert again.get_config() == config
    symbols = keras.Input((14, DIM), dtype="float64")
    model = keras.Model(symbols, layer(symbols, grid_shape=(3, 4)))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    inputs = draw(2, 14, DIM).astype("float64")
    assert_array_equal(loaded(inputs), model(inputs))
    # Another base is another encoding.
    other = SinusoidalPositionEncoding2D(2, dtype="float64")
    far = array(model(inputs)) - array(other(inputs, grid_shape=(3, 4)))
    assert np.abs(far).max() > 1e-3


@pytest.mark.check("bad input")
def test_bad_input():
    layer = SinusoidalPositionEncoding2D(1)
    message = r"Received: grid_shape=\(3, 4\), number of patches=11"
    with pytest.raises(ValueError, match=message):
        layer(ops.zeros((2, 12, DIM)), grid_shape=(3, 4))
    with pytest.raises(
        ValueError, match=r"a square\. Received: number of .*=11"
    ):
        layer(ops.zeros((2, 12, DIM)))
    with pytest.raises(ValueError, match=r"even\. Received: dim=7"):
        SinusoidalPositionEncoding2D()(ops.zeros((2, 9, 7)))
    with pytest.raises(ValueError, match="expected ndim=3, found ndim=2"):
        SinusoidalPositionEncoding2D()(ops.zeros((9, DIM)))

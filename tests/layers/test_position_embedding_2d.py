import json

import keras
import numpy as np
import pytest
from keras import ops

from layers.position_embedding_2d import PositionEmbedding2D
from tests.layers.running import array
from tests.layers.running import assert_allclose
from tests.layers.running import assert_array_equal
from tests.layers.running import dtype_of
from tests.layers.running import each_jit
from tests.layers.running import gradients
from tests.layers.running import graphs
from tests.layers.running import weighted_sum

ROWS, COLUMNS, DIM = 3, 4, 5
# Two tokens in front.
TABLE = np.random.default_rng(1).normal(size=(2 + ROWS * COLUMNS, DIM))


def draw(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def made(**options):
    layer = PositionEmbedding2D((ROWS, COLUMNS), 2, **options)
    layer.build((None, None, DIM))
    layer.set_weights([TABLE])
    return layer


def cubic(x, a=-0.75):
    """Keys, equation 15 before a is chosen."""
    x = abs(x)
    if x <= 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    if x < 2:
        return a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a
    return 0.0


def resampled(rows, columns):
    """One number of the new table at a time, over all the old places."""
    old = TABLE[2:].reshape(ROWS, COLUMNS, DIM)
    new = np.zeros((rows, columns, DIM))
    for row, column in np.ndindex(rows, columns):
        y = (row + 0.5) * ROWS / rows - 0.5
        x = (column + 0.5) * COLUMNS / columns - 0.5
        for v in range(-3, ROWS + 3):
            for u in range(-3, COLUMNS + 3):
                place = old[
                    min(max(v, 0), ROWS - 1), min(max(u, 0), COLUMNS - 1)
                ]
                new[row, column] += cubic(y - v) * cubic(x - u) * place
    return np.concatenate([TABLE[:2], new.reshape(-1, DIM)])


@pytest.mark.check("equation")
@pytest.mark.parametrize("grid_shape", [None, (ROWS, COLUMNS)])
def test_adds_the_vector_of_each_place(grid_shape):
    inputs = draw(2, 14, DIM)
    assert_allclose(
        made()(inputs, grid_shape=grid_shape), inputs + TABLE, atol=1e-6
    )


@pytest.mark.check("equation")
@pytest.mark.check("compiled")
@pytest.mark.parametrize("grid_shape", [(6, 8), (2, 3), (1, 1), (7, 4), (3, 9)])
def test_another_grid(grid_shape):
    layer = made()
    rows, columns = grid_shape
    inputs = draw(2, 2 + rows * columns, DIM)
    expected = inputs + resampled(rows, columns)

    def call(inputs):
        return layer(inputs, grid_shape=grid_shape)

    symbols = keras.Input(inputs.shape[1:])
    outputs = call(symbols)
    assert outputs.shape == (None, *inputs.shape[1:])
    for run in (call, keras.Model(symbols, outputs), *graphs(call)):
        assert_allclose(run(inputs), expected, atol=1e-5)


@pytest.mark.check("equation")
def test_resampling_by_hand():
    # From two places to one in the middle: by symmetry their mean. From one
    # place to any number: that place everywhere.
    layer = PositionEmbedding2D((1, 2))
    layer.build((None, None, 1))
    layer.set_weights([np.array([[10.0], [20.0]])])
    zeros = ops.zeros((1, 3, 1))
    assert_allclose(
        layer(zeros[:, :1], grid_shape=(1, 1)), [[[15.0]]], rtol=1e-6
    )
    assert_allclose(
        array(layer(zeros, grid_shape=(3, 1))).ravel(), [15, 15, 15], rtol=1e-6
    )
    # To four: their centres lie at -1/4, 1/4, 3/4, 5/4. The weight of 20 at
    # 1/4, with what lies beyond it, is k(3/4) + k(7/4), and k(5/4) at -1/4
    # (k(9/4) is 0).
    near, far = cubic(0.75) + cubic(1.75), cubic(1.25)
    outputs = array(layer(ops.zeros((1, 4, 1)), grid_shape=(1, 4))).ravel()
    expected = [10 + 10 * far, 10 + 10 * near, 20 - 10 * near, 20 - 10 * far]
    assert_allclose(outputs, expected, rtol=1e-6)


@pytest.mark.check("compiled")
@pytest.mark.tensorflow
def test_a_grid_that_the_graph_alone_knows():
    import tensorflow as tf

    layer = made()

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, None, DIM]),
            tf.TensorSpec([], "int32"),
            tf.TensorSpec([], "int32"),
        ]
    )
    def call(inputs, rows, columns):
        return layer(inputs, grid_shape=(rows, columns))

    for rows, columns in ((3, 4), (6, 5)):
        inputs = draw(2, 2 + rows * columns, DIM)
        expected = inputs + resampled(rows, columns)
        assert_allclose(call(inputs, rows, columns), expected, atol=1e-5)
    with pytest.raises(tf.errors.InvalidArgumentError):
        call(inputs, 6, 4)


def test_weights():
    (weight,) = made().weights
    assert (weight.name, weight.shape) == ("embeddings", (14, DIM))


def test_layers_with_one_initializer_start_apart():
    initializer = keras.initializers.RandomNormal(stddev=2.0)
    tables = []
    for _ in range(2):
        layer = PositionEmbedding2D((5, 10), initializer=initializer)
        layer.build((None, None, 40))
        tables.append(layer.get_weights()[0])
    assert np.abs(tables[0] - tables[1]).max() > 1
    assert abs(tables[0].std() - 2) < 0.1


@pytest.mark.check("gradients")
@each_jit
@pytest.mark.parametrize("grid_shape", [(3, 4), (5, 2)])
def test_gradients(jit, grid_shape):
    layer = made(dtype="float64")
    rows, columns = grid_shape
    direction = np.random.default_rng(2).normal(
        size=(2, 2 + rows * columns, DIM)
    )
    [at_inputs], [at_table] = gradients(
        lambda inputs: weighted_sum(
            layer(inputs, grid_shape=grid_shape), direction
        ),
        [np.zeros(direction.shape)],
        layer.weights,
        jit,
    )
    assert_array_equal(at_inputs, direction)
    total = direction.sum(axis=0)
    assert_allclose(at_table[:2], total[:2], atol=1e-12)
    # Of each old place, what each new one takes of it.
    expected = np.zeros((ROWS, COLUMNS, DIM))
    for row, column in np.ndindex(rows, columns):
        y = (row + 0.5) * ROWS / rows - 0.5
        x = (column + 0.5) * COLUMNS / columns - 0.5
        for v in range(-3, ROWS + 3):
            for u in range(-3, COLUMNS + 3):
                place = min(max(v, 0), ROWS - 1), min(max(u, 0), COLUMNS - 1)
                share = cubic(y - v) * cubic(x - u)
                expected[place] += share * total[2 + row * columns + column]
    assert_allclose(at_table[2:], expected.reshape(-1, DIM), atol=1e-12)


@pytest.mark.check("precision")
@pytest.mark.parametrize(
    "policy, tolerance",
    [
        ("mixed_bfloat16", 0.03),
        ("mixed_float16", 4e-3),
        ("float16", 5e-3),
        ("float64", 1e-13),
    ],
)
def test_precision(policy, tolerance):
    layer = made(dtype=policy)
    inputs = draw(2, 2 + 35, DIM)
    outputs = layer(
        ops.convert_to_tensor(inputs, layer.compute_dtype), grid_shape=(5, 7)
    )
    assert dtype_of(outputs) == layer.compute_dtype
    assert_allclose(
        array(outputs, "float64"), inputs + resampled(5, 7), atol=tolerance
    )


@pytest.mark.check("saved")
def test_config_and_file(tmp_path):
    layer = made(initializer="zeros", name="places", dtype="float64")
    config = layer.get_config()
    assert set(config) == {
        *("name", "trainable", "dtype"),
        *("grid_shape", "num_prefix_tokens", "initializer"),
    }
    assert config["grid_shape"] == (ROWS, COLUMNS)
    assert config["num_prefix_tokens"] == 2
    assert config["initializer"]["class_name"] == "Zeros"
    assert PositionEmbedding2D.from_config(config).get_config() == config
    # As JSON gives it back, with lists.
    again = PositionEmbedding2D.from_config(json.loads(json.dumps(config)))
    assert_array_equal(
        again(np.ones((1, 14, DIM)), grid_shape=(3, 4)), np.ones((1, 14, DIM))
    )
    symbols = keras.Input((2 + 10, DIM), dtype="float64")
    model = keras.Model(symbols, layer(symbols, grid_shape=(5, 2)))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    inputs = draw(2, 12, DIM).astype("float64")
    assert_allclose(loaded(inputs), inputs + resampled(5, 2), atol=1e-13)


@pytest.mark.check("bad input")
def test_bad_input():
    layer = made()
    message = r"Received: grid_shape=\(3, 4\), number of patches=11"
    for grid_shape in (None, (3, 4)):
        with pytest.raises(ValueError, match=message):
            layer(ops.zeros((2, 13, DIM)), grid_shape=grid_shape)
    with pytest.raises(ValueError, match=r"Received: grid_shape=\(3, 0\)"):
        PositionEmbedding2D((3, 0))
    with pytest.raises(ValueError, match="expected ndim=3, found ndim=2"):
        made()(ops.zeros((14, DIM)))

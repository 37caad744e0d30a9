import json

import keras
import numpy as np
import pytest
from keras import ops

from layers.convolutional_tokenizer import ConvolutionalTokenizer
from tests.layers.running import array
from tests.layers.running import assert_allclose
from tests.layers.running import assert_array_equal
from tests.layers.running import dtype_of
from tests.layers.running import each_jit
from tests.layers.running import gradients
from tests.layers.running import graphs
from tests.layers.running import weighted_sum

# Two convolutions, 2 channels to 3 filters and to vectors of 5.
FIRST = np.random.default_rng(1).normal(size=(3, 3, 2, 3))
SECOND = np.random.default_rng(2).normal(size=(3, 3, 3, 5))


def draw(*shape):
    return np.random.default_rng(0).normal(size=shape)


def made(**options):
    layer = ConvolutionalTokenizer(5, num_layers=2, filters=3, **options)
    layer.build((None, None, None, 2))
    layer.set_weights([FIRST, SECOND])
    return layer


def halved(maps, kernel):
    """Convolution, ReLU and the largest of 3 x 3 at every other place, one
    number at a time."""
    batch_size, height, width, _ = maps.shape
    found = np.zeros((batch_size, height, width, kernel.shape[-1]))
    for sample, y, x, v, u in np.ndindex(batch_size, height, width, 3, 3):
        row, column = y + v - 1, x + u - 1
        if 0 <= row < height and 0 <= column < width:
            found[sample, y, x] += maps[sample, row, column] @ kernel[v, u]
    found = np.maximum(found, 0)
    rows, columns = (height + 1) // 2, (width + 1) // 2
    kept = np.zeros((batch_size, rows, columns, kernel.shape[-1]))
    for row, column in np.ndindex(rows, columns):
        # What is missing at the border is missing behind, where the size is
        # even, and on both sides where it is odd.
        top, left = 2 * row - height % 2, 2 * column - width % 2
        square = found[:, max(top, 0) : top + 3, max(left, 0) : left + 3]
        kept[:, row, column] = square.max(axis=(1, 2))
    return kept


def tokens_of(images):
    maps = halved(halved(images, FIRST), SECOND)
    return maps.reshape(len(images), -1, 5)


@pytest.mark.check("equation")
@pytest.mark.check("compiled")
@pytest.mark.parametrize("size", [(8, 12), (7, 9), (4, 5)])
def test_all_ways_to_run_equal_the_loop(size):
    layer = made()
    symbols = keras.Input((None, None, 2))
    model = keras.Model(symbols, layer(symbols))
    images = draw(2, *size, 2).astype("float32")
    expected = tokens_of(images)
    rows, columns = layer.grid_shape(*size)
    assert expected.shape == (2, rows * columns, 5)
    for run in (
        layer,
        model,
        lambda images: model.predict(images, verbose=0),
        *graphs(layer, [symbols]),
    ):
        assert_allclose(run(images), expected, atol=1e-4)


@pytest.mark.check("equation")
def test_by_hand():
    # A filter that is 1 in the middle passes on what is positive; of the
    # four squares of 3 x 3 the last ones are cut off by the border.
    layer = ConvolutionalTokenizer(1)
    images = np.arange(16, dtype="float32").reshape(1, 4, 4, 1) - 3
    layer.build(images.shape)
    kernel = np.zeros((3, 3, 1, 1))
    kernel[1, 1] = 1
    layer.set_weights([kernel])
    expected = np.array([10, 11, 14, 15]) - 3
    assert_array_equal(layer(images)[0, :, 0], expected)
    # Everything negative is 0.
    assert_array_equal(layer(-images - 20), np.zeros((1, 4, 1)))


def test_weights():
    assert [weight.shape for weight in made().weights] == [
        (3, 3, 2, 3),
        (3, 3, 3, 5),
    ]
    layer = ConvolutionalTokenizer(5, num_layers=3, kernel_size=5)
    layer.build((None, None, None, 1))
    assert [weight.shape for weight in layer.weights] == [
        (5, 5, 1, 64),
        (5, 5, 64, 64),
        (5, 5, 64, 5),
    ]


def test_convolutions_of_one_shape_start_apart():
    initializer = keras.initializers.RandomNormal(stddev=2.0)
    layer = ConvolutionalTokenizer(
        64, num_layers=3, kernel_initializer=initializer
    )
    layer.build((None, None, None, 64))
    first, second, third = (array(weight) for weight in layer.weights)
    assert np.abs(first - second).max() > 1
    assert np.abs(second - third).max() > 1
    assert abs(second.std() - 2) < 0.1


@pytest.mark.check("compiled")
@pytest.mark.parametrize(
    "size, count",
    [((8, 12), 6), ((7, 9), 6), ((None, 9), None), ((None, None), None)],
)
def test_symbolic_shape(size, count):
    layer = made()
    assert layer(keras.Input((*size, 2))).shape == (None, count, 5)
    assert layer.compute_output_shape((2, *size, 2)) == (2, count, 5)


@pytest.mark.check("gradients")
@each_jit
def test_gradients_are_differences(jit):
    layer = made(dtype="float64")
    images, direction = draw(2, 5, 6, 2), draw(2, 4, 5)

    def scalar(images):
        return weighted_sum(layer(images), direction)

    def number(images):
        return float(array(scalar(ops.convert_to_tensor(images))))

    found = gradients(scalar, [images], layer.weights, jit)
    generator = np.random.default_rng(3)
    step = 1e-6
    for gradient, weight in zip([*found[0], *found[1]], [None, *layer.weights]):
        move = generator.normal(size=gradient.shape)
        sides = []
        for sign in (1, -1):
            if weight is None:
                sides.append(number(images + sign * step * move))
                continue
            old = array(weight).copy()
            weight.assign(old + sign * step * move)
            sides.append(number(images))
            weight.assign(old)
        expected = (sides[0] - sides[1]) / (2 * step)
        assert abs(expected) > 1e-3
        assert_allclose(np.sum(gradient * move), expected, rtol=1e-6)


@pytest.mark.check("precision")
@pytest.mark.parametrize(
    "policy, tolerance",
    [("mixed_bfloat16", 0.05), ("mixed_float16", 5e-3), ("float64", 1e-14)],
)
def test_precision(policy, tolerance):
    layer = made(dtype=policy)
    images = draw(2, 5, 6, 2)
    outputs = layer(ops.convert_to_tensor(images, layer.compute_dtype))
    assert dtype_of(outputs) == layer.compute_dtype
    expected = tokens_of(images)
    assert_allclose(
        array(outputs, "float64"),
        expected,
        atol=tolerance * np.abs(expected).max(),
    )


@pytest.mark.check("equation")
def test_a_batch_equals_its_rows():
    layer, images = made(), draw(3, 5, 6, 2).astype("float32")
    outputs = layer(images)
    for row in range(3):
        assert_allclose(
            layer(images[row : row + 1])[0], outputs[row], atol=1e-4
        )


@pytest.mark.check("saved")
def test_config_and_file(tmp_path):
    layer = ConvolutionalTokenizer(
        5,
        num_layers=2,
        filters=3,
        kernel_size=5,
        pool_size=2,
        kernel_initializer="glorot_normal",
        name="tokens",
        dtype="float64",
    )
    config = layer.get_config()
    assert set(config) == {
        *("name", "trainable", "dtype", "hidden_dim", "num_layers"),
        *("filters", "kernel_size", "pool_size", "kernel_initializer"),
    }
    assert (config["filters"], config["kernel_size"]) == (3, 5)
    assert (config["pool_size"], config["num_layers"]) == (2, 2)
    assert config["kernel_initializer"]["class_name"] == "GlorotNormal"
    again = ConvolutionalTokenizer.from_config(json.loads(json.dumps(config)))
    assert again.get_config() == config
    symbols = keras.Input((None, None, 2), dtype="float64")
    model = keras.Model(symbols, layer(symbols))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    images = draw(2, 8, 9, 2)
    assert_array_equal(loaded(images), model(images))


@pytest.mark.check("bad input")
def test_bad_input():
    with pytest.raises(ValueError, match="Received: num_layers=0"):
        ConvolutionalTokenizer(5, num_layers=0)
    with pytest.raises(ValueError, match="expected ndim=4, found ndim=3"):
        made()(ops.zeros((4, 4, 2)))

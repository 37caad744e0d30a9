import json

import keras
import numpy as np
import pytest
from keras import ops

from layers.patch_embedding import PatchEmbedding
from tests.layers.running import array
from tests.layers.running import assert_allclose
from tests.layers.running import assert_array_equal
from tests.layers.running import compiled
from tests.layers.running import dtype_of
from tests.layers.running import each_jit
from tests.layers.running import gradients
from tests.layers.running import graphs
from tests.layers.running import weighted_sum

# Patches of 2 x 3 pixels with 5 channels, to vectors of 7.
KERNEL = np.random.default_rng(1).normal(size=(30, 7))
BIAS = np.random.default_rng(2).normal(size=7)


def draw(*shape):
    return np.random.default_rng(0).normal(size=shape)


def made(**options):
    layer = PatchEmbedding((2, 3), 7, **options)
    layer.build((None, None, None, 5))
    layer.set_weights([KERNEL, BIAS])
    return layer


def embedded(images):
    """One patch at a time, one number at a time."""
    batch_size, height, width, channels = images.shape
    rows, columns = height // 2, width // 3
    outputs = np.zeros((batch_size, rows * columns, 7))
    for sample, row, column in np.ndindex(batch_size, rows, columns):
        vector = BIAS.copy()
        for y, x, channel in np.ndindex(2, 3, channels):
            pixel = images[sample, 2 * row + y, 3 * column + x, channel]
            vector += pixel * KERNEL[(y * 3 + x) * channels + channel]
        outputs[sample, row * columns + column] = vector
    return outputs


@pytest.mark.check("equation")
def test_by_hand():
    # With the unit matrix the vectors are the pixels of the patches.
    layer = PatchEmbedding(2, 4)
    images = np.arange(16, dtype="float32").reshape(1, 4, 4, 1)
    layer.build(images.shape)
    layer.set_weights([np.eye(4), np.array([0, 0, 0, 100])])
    expected = [
        [0, 1, 4, 105],
        [2, 3, 6, 107],
        [8, 9, 12, 113],
        [10, 11, 14, 115],
    ]
    assert_array_equal(layer(images)[0], expected)


@pytest.mark.check("compiled")
def test_all_ways_to_run_equal_the_loop():
    layer = made()
    symbols = keras.Input((None, None, 5))
    model = keras.Model(symbols, layer(symbols))
    images = draw(2, 8, 9, 5).astype("float32")
    expected = embedded(images)
    assert expected.shape == (2, 12, 7)
    signature = [keras.Input((None, None, 5))]
    for run in (
        layer,
        model,
        lambda images: model.predict(images, verbose=0),
        *graphs(layer, signature),
    ):
        assert_allclose(run(images), expected, atol=2e-5)


@pytest.mark.check("peer")
@pytest.mark.parametrize("patch_size", [3, (2, 4), (4, 1)])
def test_is_a_convolution(patch_size):
    layer = PatchEmbedding(patch_size, 7, dtype="float64")
    images = draw(2, 12, 12, 5)
    layer.build(images.shape)
    layer.bias.assign(BIAS)
    outputs = layer(images)
    convolution = keras.layers.Conv2D(
        7, patch_size, strides=patch_size, dtype="float64"
    )
    convolution.build(images.shape)
    kernel = np.reshape(array(layer.kernel), convolution.kernel.shape)
    convolution.set_weights([kernel, BIAS])
    expected = np.reshape(array(convolution(images)), (2, -1, 7))
    assert_allclose(outputs, expected, atol=1e-13)


def test_grid():
    assert made().grid_shape(8, 9) == (4, 3)
    assert PatchEmbedding(4, 7).grid_shape(8, 12) == (2, 3)


def test_weights():
    layer = made()
    assert [(weight.name, weight.shape) for weight in layer.weights] == [
        ("kernel", (30, 7)),
        ("bias", (7,)),
    ]


@pytest.mark.check("compiled")
@pytest.mark.parametrize(
    "size, count",
    [((8, 9), 12), ((None, 9), None), ((8, None), None), ((None, None), None)],
)
def test_symbolic_shape(size, count):
    layer = PatchEmbedding((2, 3), 7)
    assert layer(keras.Input((*size, 5))).shape == (None, count, 7)
    assert layer.compute_output_shape((2, *size, 5)) == (2, count, 7)


@pytest.mark.check("gradients")
@each_jit
def test_gradients(jit):
    layer = made(dtype="float64")
    images, direction = draw(2, 4, 9, 5), draw(2, 6, 7)

    [at_images], [at_kernel, at_bias] = gradients(
        lambda images: weighted_sum(layer(images), direction),
        [images],
        layer.weights,
        jit,
    )
    # One patch, and one number of it, at a time.
    kernel, bias = np.zeros((30, 7)), np.zeros(7)
    pixels = np.zeros(images.shape)
    for sample, row, column in np.ndindex(2, 2, 3):
        vector = direction[sample, row * 3 + column]
        bias += vector
        for y, x, channel in np.ndindex(2, 3, 5):
            place = sample, 2 * row + y, 3 * column + x, channel
            number = (y * 3 + x) * 5 + channel
            kernel[number] += images[place] * vector
            pixels[place] = KERNEL[number] @ vector
    assert_allclose(at_kernel, kernel, atol=1e-12)
    assert_allclose(at_bias, bias, atol=1e-12)
    assert_allclose(at_images, pixels, atol=1e-12)


@pytest.mark.check("precision")
@pytest.mark.parametrize(
    "policy, tolerance",
    [("mixed_bfloat16", 0.2), ("mixed_float16", 0.03), ("float64", 1e-13)],
)
def test_precision(policy, tolerance):
    layer = made(dtype=policy)
    images = draw(2, 4, 9, 5)
    outputs = layer(ops.convert_to_tensor(images, layer.compute_dtype))
    assert dtype_of(outputs) == layer.compute_dtype
    assert_allclose(array(outputs, "float64"), embedded(images), atol=tolerance)


@pytest.mark.check("equation")
def test_a_batch_equals_its_rows():
    layer, images = made(), draw(3, 4, 9, 5).astype("float32")
    outputs = layer(images)
    for row in range(3):
        assert_allclose(
            layer(images[row : row + 1])[0], outputs[row], atol=1e-5
        )


@pytest.mark.check("saved")
@pytest.mark.parametrize("patch_size", [4, (2, 3)])
def test_config_and_file(tmp_path, patch_size):
    layer = PatchEmbedding(patch_size, 7, name="patches", dtype="float64")
    config = layer.get_config()
    assert set(config) == {
        *("name", "trainable", "dtype", "patch_size", "hidden_dim")
    }
    assert (config["patch_size"], config["hidden_dim"]) == (patch_size, 7)
    assert PatchEmbedding.from_config(config).get_config() == config
    # As JSON gives it back, with lists.
    again = PatchEmbedding.from_config(json.loads(json.dumps(config)))
    symbols = keras.Input((None, None, 5), dtype="float64")
    assert again(symbols).shape == (None, None, 7)
    model = keras.Model(symbols, layer(symbols))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    images = draw(2, 4, 12, 5)
    assert_array_equal(loaded(images), model(images))


@pytest.mark.check("bad input")
def test_pictures_that_do_not_fit():
    layer = made()
    for shape in ((2, 5, 9, 5), (2, 4, 8, 5)):
        given = ", ".join(str(size) for size in shape)
        message = (
            r"must be multiples .* Received: patch_size=\(2, 3\), "
            rf"images\.shape=\({given}\)"
        )
        with pytest.raises(ValueError, match=message):
            layer(ops.zeros(shape))
        with pytest.raises(ValueError, match="must be multiples"):
            layer(keras.Input(shape[1:]))
        with pytest.raises(ValueError, match="must be multiples"):
            layer.compute_output_shape(shape)


@pytest.mark.check("bad input")
@pytest.mark.tensorflow
def test_sizes_that_do_not_fit_in_a_graph():
    import tensorflow as tf

    call = compiled(made(), False, [keras.Input((None, None, 5))])
    with pytest.raises(tf.errors.InvalidArgumentError):
        call(ops.zeros((2, 5, 9, 5)))


@pytest.mark.check("bad input")
def test_bad_input():
    with pytest.raises(ValueError, match="Received: patch_size=0"):
        PatchEmbedding(0, 7)
    with pytest.raises(ValueError, match="expected ndim=4, found ndim=3"):
        PatchEmbedding(2, 7)(ops.zeros((4, 4, 1)))

import json

import keras
import numpy as np
import pytest
from keras import ops

from layers.shifted_patch_embedding import ShiftedPatchEmbedding
from tests.layers.running import array
from tests.layers.running import assert_allclose
from tests.layers.running import assert_array_equal
from tests.layers.running import dtype_of
from tests.layers.running import each_jit
from tests.layers.running import gradients
from tests.layers.running import graphs
from tests.layers.running import weighted_sum

# Patches of 2 x 4 pixels of 3 channels, five times, to vectors of 7.
NUMBERS = 5 * 2 * 4 * 3
KERNEL = np.random.default_rng(1).normal(size=(NUMBERS, 7))
BIAS = np.random.default_rng(2).normal(size=7)
GAMMA = np.random.default_rng(3).normal(size=NUMBERS)
BETA = np.random.default_rng(4).normal(size=NUMBERS)


def draw(*shape):
    return np.random.default_rng(0).normal(size=shape)


def made(**options):
    layer = ShiftedPatchEmbedding((2, 4), 7, **options)
    layer.build((None, None, None, 3))
    layer.kernel.assign(KERNEL)
    layer.bias.assign(BIAS)
    layer.normalization.gamma.assign(GAMMA)
    layer.normalization.beta.assign(BETA)
    return layer


def pixel(image, y, x):
    height, width, channels = image.shape
    if 0 <= y < height and 0 <= x < width:
        return image[y, x]
    return np.zeros(channels)


def embedded(images, down=1, across=2):
    """One patch at a time. What a copy that went left and up shows at a place
    was right of it and below."""
    moves = [(0, 0), (down, across), (down, -across)]
    moves += [(-down, across), (-down, -across)]
    outputs = []
    for image in images:
        for row in range(0, image.shape[0], 2):
            for column in range(0, image.shape[1], 4):
                numbers = np.concatenate(
                    [
                        pixel(image, row + y + dy, column + x + dx)
                        for y in range(2)
                        for x in range(4)
                        for dy, dx in moves
                    ]
                )
                numbers = numbers - numbers.mean()
                numbers = numbers / np.sqrt(numbers.var() + 1e-6)
                outputs.append((numbers * GAMMA + BETA) @ KERNEL + BIAS)
    return np.reshape(outputs, (len(images), -1, 7))


@pytest.mark.check("equation")
@pytest.mark.check("compiled")
def test_all_ways_to_run_equal_the_loop():
    layer = made()
    symbols = keras.Input((None, None, 3))
    model = keras.Model(symbols, layer(symbols))
    images = draw(2, 6, 8, 3).astype("float32")
    expected = embedded(images)
    assert expected.shape == (2, 6, 7)
    for run in (
        layer,
        model,
        lambda images: model.predict(images, verbose=0),
        *graphs(layer, [symbols]),
    ):
        assert_allclose(run(images), expected, atol=1e-4)


@pytest.mark.check("equation")
def test_shifts_by_hand(monkeypatch):
    # One patch of 2 x 2 pixels: what the copies show is next to it.
    layer = ShiftedPatchEmbedding(2, 3)
    image = np.array([[1, 2, 3, 4], [5, 6, 7, 8]], "float32")
    layer.build((None, None, None, 1))
    # Before the numbers are normalised.
    monkeypatch.setattr(
        layer.normalization, "call", lambda inputs, **options: inputs
    )
    cut = layer.cut(ops.convert_to_tensor(image[None, :, :, None]))
    first = array(cut)[0].reshape(2, 2, 5)
    assert_array_equal(first[..., 0], [[1, 2], [5, 6]])
    assert_array_equal(first[..., 1], [[6, 7], [0, 0]])
    assert_array_equal(first[..., 2], [[0, 5], [0, 0]])
    assert_array_equal(first[..., 3], [[0, 0], [2, 3]])
    assert_array_equal(first[..., 4], [[0, 0], [0, 1]])


def test_weights():
    weights = {weight.path.split("/")[-1]: weight for weight in made().weights}
    assert {name: weight.shape for name, weight in weights.items()} == {
        "kernel": (NUMBERS, 7),
        "bias": (7,),
        "gamma": (NUMBERS,),
        "beta": (NUMBERS,),
    }


@pytest.mark.check("compiled")
@pytest.mark.parametrize(
    "size, count", [((6, 8), 6), ((None, 8), None), ((None, None), None)]
)
def test_symbolic_shape(size, count):
    layer = made()
    assert layer(keras.Input((*size, 3))).shape == (None, count, 7)
    assert layer.compute_output_shape((2, *size, 3)) == (2, count, 7)
    assert layer.grid_shape(6, 8) == (3, 2)


@pytest.mark.check("gradients")
@each_jit
def test_gradients_are_differences(jit):
    layer = made(dtype="float64")
    images, direction = draw(2, 4, 8, 3), draw(2, 4, 7)

    def scalar(images):
        return weighted_sum(layer(images), direction)

    def number(images):
        return float(array(scalar(ops.convert_to_tensor(images))))

    [at_images], at_weights = gradients(scalar, [images], layer.weights, jit)
    generator, step = np.random.default_rng(5), 1e-6
    move = generator.normal(size=images.shape)
    sides = [number(images + sign * step * move) for sign in (1, -1)]
    expected = (sides[0] - sides[1]) / (2 * step)
    assert_allclose(np.sum(at_images * move), expected, rtol=1e-6)
    for weight, gradient in zip(layer.weights, at_weights):
        old, sides = array(weight).copy(), []
        move = generator.normal(size=old.shape)
        for sign in (1, -1):
            weight.assign(old + sign * step * move)
            sides.append(number(images))
        weight.assign(old)
        expected = (sides[0] - sides[1]) / (2 * step)
        assert abs(expected) > 1e-3
        assert_allclose(np.sum(gradient * move), expected, rtol=1e-6)


@pytest.mark.check("precision")
@pytest.mark.parametrize(
    "policy, tolerance",
    [("mixed_bfloat16", 0.3), ("mixed_float16", 0.04), ("float64", 1e-12)],
)
def test_precision(policy, tolerance):
    layer = made(dtype=policy)
    images = draw(2, 4, 8, 3)
    outputs = layer(ops.convert_to_tensor(images, layer.compute_dtype))
    assert dtype_of(outputs) == layer.compute_dtype
    assert_allclose(array(outputs, "float64"), embedded(images), atol=tolerance)


@pytest.mark.check("saved")
def test_config_and_file(tmp_path):
    layer = ShiftedPatchEmbedding(
        (2, 4), 7, epsilon=1e-3, name="patches", dtype="float64"
    )
    config = layer.get_config()
    assert set(config) == {
        *("name", "trainable", "dtype", "patch_size", "hidden_dim", "epsilon")
    }
    assert (config["patch_size"], config["epsilon"]) == ((2, 4), 1e-3)
    again = ShiftedPatchEmbedding.from_config(json.loads(json.dumps(config)))
    symbols = keras.Input((None, None, 3), dtype="float64")
    assert again(symbols).shape == (None, None, 7)
    model = keras.Model(symbols, layer(symbols))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    images = draw(2, 4, 8, 3)
    assert_array_equal(loaded(images), model(images))


@pytest.mark.check("bad input")
def test_bad_input():
    for patch_size in (1, (2, 1), 0):
        with pytest.raises(ValueError, match="Received: patch_size="):
            ShiftedPatchEmbedding(patch_size, 7)
    with pytest.raises(ValueError, match="must be multiples"):
        made()(ops.zeros((2, 4, 6, 3)))
    with pytest.raises(ValueError, match="expected ndim=4, found ndim=3"):
        made()(ops.zeros((4, 4, 3)))

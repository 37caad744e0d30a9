import json
import math

import keras
import numpy as np
import pytest
from keras import ops

from layers.sinusoidal_position_encoding import SinusoidalPositionEncoding
from tests.layers.running import array
from tests.layers.running import assert_allclose
from tests.layers.running import assert_array_equal
from tests.layers.running import compiled
from tests.layers.running import dtype_of
from tests.layers.running import each_jit
from tests.layers.running import gradients
from tests.layers.running import graphs
from tests.layers.running import mask_of
from tests.layers.running import weighted_sum


def paper(length, dim, max_wavelength=10000, start_index=0):
    """Section 3.5, one number at a time."""
    encoding = np.zeros((length, dim))
    for row, column in np.ndindex(length, dim):
        pair = column // 2
        wavelength = max_wavelength ** (2 * pair / dim)
        angle = (start_index + row) / wavelength
        encoding[row, column] = [math.sin, math.cos][column % 2](angle)
    return encoding


def encoding_of(layer, length, dim, **options):
    dtype = layer.compute_dtype
    return layer(ops.zeros((2, length, dim), dtype), **options)


@pytest.mark.check("equation")
def test_by_hand():
    # Wavelengths 1 and 9 (times 2 pi), one turn and a ninth of it.
    layer = SinusoidalPositionEncoding(max_wavelength=81)
    inputs = np.full((1, 3, 4), 10, "float32")
    s, c = math.sin, math.cos
    expected = [
        [0, 1, 0, 1],
        [s(1), c(1), s(1 / 9), c(1 / 9)],
        [s(2), c(2), s(2 / 9), c(2 / 9)],
    ]
    assert_allclose(layer(inputs)[0] - 10, expected, rtol=0, atol=2e-6)


@pytest.mark.check("equation")
@pytest.mark.parametrize("dim", [1, 2, 5, 8])
@pytest.mark.parametrize("max_wavelength", [10000, 50])
def test_equals_the_paper(dim, max_wavelength):
    inputs = np.random.default_rng(0).normal(size=(2, 7, dim))
    layer = SinusoidalPositionEncoding(max_wavelength, dtype="float64")
    expected = inputs + paper(7, dim, max_wavelength, start_index=3)
    assert_allclose(layer(inputs, start_index=3), expected, rtol=0, atol=1e-14)


@pytest.mark.check("precision")
@each_jit
@pytest.mark.parametrize(
    "policy, unit",
    [
        # Half of the last place of numbers up to 1, and the angle's own.
        ("float64", 1e-12),
        ("float32", 1.2e-4),
        ("mixed_float16", 2**-12 + 1.2e-4),
        ("float16", 2**-12 + 1.2e-4),
        ("mixed_bfloat16", 2**-9 + 1.2e-4),
        ("bfloat16", 2**-9 + 1.2e-4),
    ],
)
def test_far_positions_under_every_policy(policy, unit, jit):
    layer = SinusoidalPositionEncoding(dtype=policy)

    def encode():
        return encoding_of(layer, 24, 6, start_index=1000)

    encoding = compiled(encode, jit)()
    assert dtype_of(encoding) == layer.compute_dtype
    error = array(encoding, "float64") - paper(24, 6, start_index=1000)
    assert np.abs(error).max() < unit
    # Nothing but the last cast is between this and float32.
    wide = encoding_of(SinusoidalPositionEncoding(), 24, 6, start_index=1000)
    if policy != "float64" and not jit:
        assert_array_equal(encoding, ops.cast(wide, encoding.dtype))


@pytest.mark.check("cache")
@each_jit
def test_step_by_step(jit):
    layer = SinusoidalPositionEncoding()
    inputs = np.random.default_rng(0).normal(size=(2, 7, 5)).astype("f4")
    step = compiled(lambda part, index: layer(part, start_index=index), jit)
    whole = layer(inputs)
    for index in range(7):
        part = inputs[:, index : index + 1]
        for start_index in (
            index,
            ops.convert_to_tensor(index),
            np.int64(index),
        ):
            assert_allclose(
                layer(part, start_index=start_index),
                whole[:, index : index + 1],
                atol=1e-6,
            )
        assert_allclose(
            step(part, ops.convert_to_tensor(index)),
            whole[:, index : index + 1],
            atol=1e-6,
        )


@pytest.mark.check("compiled")
def test_all_ways_to_run_agree():
    layer = SinusoidalPositionEncoding()
    symbols = keras.Input((None, 5))
    outputs = layer(symbols)
    assert outputs.shape == (None, None, 5)
    model = keras.Model(symbols, outputs)
    inputs = np.random.default_rng(0).normal(size=(2, 7, 5)).astype("f4")
    expected = inputs + paper(7, 5)
    signature = [keras.Input((None, 5))]
    for run in (
        layer,
        model,
        lambda inputs: model.predict(inputs, verbose=0),
        *graphs(layer, signature),
    ):
        assert_allclose(run(inputs), expected, atol=2e-6)


@pytest.mark.check("compiled")
def test_the_start_may_be_an_input_of_a_model():
    symbols = [keras.Input((None, 5)), keras.Input(batch_shape=(), dtype="int")]
    layer = SinusoidalPositionEncoding()
    model = keras.Model(symbols, layer(symbols[0], start_index=symbols[1]))
    outputs = model([ops.zeros((2, 7, 5)), ops.convert_to_tensor(4)])
    expected = np.tile(paper(7, 5, start_index=4), (2, 1, 1))
    assert_allclose(outputs, expected, atol=2e-6)


@pytest.mark.check("gradients")
def test_gradient_passes():
    layer = SinusoidalPositionEncoding()
    draw = np.random.default_rng(0).normal
    inputs, direction = draw(size=(2, 2, 7, 5)).astype("float32")
    [gradient], _ = gradients(
        lambda inputs: weighted_sum(layer(inputs), direction), [inputs]
    )
    assert_array_equal(gradient, direction)


@pytest.mark.check("saved")
def test_config_and_file(tmp_path):
    layer = SinusoidalPositionEncoding(50, name="waves", dtype="float64")
    config = layer.get_config()
    assert set(config) == {"name", "trainable", "dtype", "max_wavelength"}
    assert config["max_wavelength"] == 50
    again = SinusoidalPositionEncoding.from_config(config)
    assert again.get_config() == config
    assert json.loads(json.dumps(config)) == config
    symbols = keras.Input((None, 5), dtype="float64")
    model = keras.Model(symbols, layer(symbols))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    inputs = np.zeros((2, 7, 5))
    assert_array_equal(model(inputs), loaded(inputs))


@pytest.mark.check("masks")
def test_mask_stays():
    ids = np.array([[1, 2, 0], [3, 0, 0]])
    embedded = keras.layers.Embedding(4, 5, mask_zero=True)(ids)
    outputs = SinusoidalPositionEncoding()(embedded)
    assert_array_equal(mask_of(outputs), ids != 0)


@pytest.mark.check("bad input")
def test_bad_input():
    layer = SinusoidalPositionEncoding()
    with pytest.raises(ValueError, match="expected ndim=3, found ndim=2"):
        layer(ops.zeros((2, 5)))
    message = r"one number .* Received: start_index\.shape=\(3,\)"
    with pytest.raises(ValueError, match=message):
        layer(
            ops.zeros((2, 3, 5)), start_index=ops.convert_to_tensor([0, 1, 2])
        )

import json
import math

import keras
import numpy as np
import pytest
from keras import ops

from layers.rotary_embedding import RotaryEmbedding
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


def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def turned(inputs, max_wavelength=10000, start_index=0):
    """Equation 34, one pair at a time, as products of complex numbers."""
    *_, length, dim = inputs.shape
    outputs = np.zeros(inputs.shape)
    for row, pair in np.ndindex(length, dim // 2):
        angle = (start_index + row) / max_wavelength ** (2 * pair / dim)
        factor = complex(math.cos(angle), math.sin(angle))
        other = pair + dim // 2
        point = inputs[..., row, pair] + 1j * inputs[..., row, other]
        outputs[..., row, pair] = (point * factor).real
        outputs[..., row, other] = (point * factor).imag
    return outputs


@pytest.mark.check("equation")
def test_by_hand():
    # Four features are the pairs (0, 2) and (1, 3), turned by 1 and 1/3.
    layer = RotaryEmbedding(max_wavelength=9)
    inputs = np.array([[[5, 7, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1]]], "float32")
    s, c = math.sin, math.cos
    expected = [
        [5, 7, 0, 0],
        [c(1), 0, s(1), 0],
        [0, -s(2 / 3), 0, c(2 / 3)],
    ]
    assert_allclose(layer(inputs)[0], expected, atol=1e-6)


@pytest.mark.check("equation")
@pytest.mark.parametrize("shape", [(5, 6), (2, 5, 6), (2, 3, 5, 6), (5, 2)])
@pytest.mark.parametrize("max_wavelength", [10000, 50])
def test_equals_the_paper(shape, max_wavelength):
    inputs = draw(*shape)
    layer = RotaryEmbedding(max_wavelength, dtype="float64")
    assert_allclose(
        layer(inputs, start_index=11),
        turned(inputs, max_wavelength, start_index=11),
        atol=1e-13,
    )


@pytest.mark.check("equation")
def test_only_the_distance_matters():
    layer = RotaryEmbedding(max_wavelength=100, dtype="float64")
    query, key = draw(1, 1, 6), draw(1, 1, 6, seed=1)

    def product(m, n):
        left = layer(query, start_index=m)
        return float(array(left * layer(key, start_index=n)).sum())

    for m, n in ((0, 0), (3, 1), (1, 3), (9, 2)):
        moved = [product(m + shift, n + shift) for shift in (0, 5, 70)]
        assert_allclose(moved, moved[0], atol=1e-12)
    # And it does matter, in both directions.
    products = [product(3, n) for n in range(7)]
    assert len(np.unique(np.round(products, 3))) == 7


@pytest.mark.check("equation")
def test_lengths_of_vectors_stay():
    inputs = draw(2, 3, 40, 6)
    outputs = RotaryEmbedding(dtype="float64")(inputs)
    assert_allclose(
        np.linalg.norm(array(outputs), axis=-1),
        np.linalg.norm(inputs, axis=-1),
        atol=1e-12,
    )


@pytest.mark.check("precision")
@each_jit
@pytest.mark.parametrize(
    "policy, unit",
    [
        # Half of the last place of numbers up to 4, and the angle's own.
        ("float64", 1e-11),
        ("float32", 5e-4),
        ("mixed_float16", 2**-10 + 5e-4),
        ("float16", 2**-10 + 5e-4),
        ("mixed_bfloat16", 2**-7 + 5e-4),
        ("bfloat16", 2**-7 + 5e-4),
    ],
)
def test_far_positions_under_every_policy(policy, unit, jit):
    layer = RotaryEmbedding(dtype=policy)
    # Numbers that each type holds exactly.
    inputs = np.round(draw(2, 3, 24, 6) * 16) / 16
    inputs = np.clip(inputs, -2, 2)
    call = compiled(lambda inputs: layer(inputs, start_index=1000), jit)
    outputs = call(ops.convert_to_tensor(inputs, layer.compute_dtype))
    assert dtype_of(outputs) == layer.compute_dtype
    error = array(outputs, "float64") - turned(inputs, start_index=1000)
    assert np.abs(error).max() < unit


@pytest.mark.check("cache")
@each_jit
def test_step_by_step(jit):
    layer = RotaryEmbedding()
    inputs = draw(2, 3, 7, 4).astype("float32")
    whole = layer(inputs)
    step = compiled(lambda part, index: layer(part, start_index=index), jit)
    for index in range(7):
        rows = slice(index, index + 1)
        for part in (
            layer(inputs[:, :, rows], start_index=index),
            step(inputs[:, :, rows], ops.convert_to_tensor(index)),
        ):
            assert_allclose(part, whole[:, :, rows], atol=1e-6)


@pytest.mark.check("compiled")
def test_all_ways_to_run_agree():
    layer = RotaryEmbedding()
    symbols = keras.Input((3, None, 4))
    outputs = layer(symbols)
    assert outputs.shape == (None, 3, None, 4)
    model = keras.Model(symbols, outputs)
    inputs = draw(2, 3, 7, 4).astype("float32")
    signature = [keras.Input((3, None, 4))]
    for run in (
        layer,
        model,
        lambda inputs: model.predict(inputs, verbose=0),
        *graphs(layer, signature),
    ):
        assert_allclose(run(inputs), turned(inputs), atol=2e-6)


@pytest.mark.check("gradients")
def test_gradient_is_the_turn_back():
    inputs, direction = draw(2, 5, 6), draw(2, 5, 6, seed=1)
    layer = RotaryEmbedding(dtype="float64")
    [gradient], _ = gradients(
        lambda inputs: weighted_sum(layer(inputs), direction), [inputs]
    )
    # Each turn is orthogonal: its transpose is its inverse.
    assert_allclose(turned(array(gradient)), direction, atol=1e-13)


@pytest.mark.check("saved")
def test_config_and_file(tmp_path):
    layer = RotaryEmbedding(50, name="turn", dtype="float64")
    config = layer.get_config()
    assert set(config) == {"name", "trainable", "dtype", "max_wavelength"}
    assert config["max_wavelength"] == 50
    assert RotaryEmbedding.from_config(config).get_config() == config
    assert json.loads(json.dumps(config)) == config
    symbols = keras.Input((None, 6), dtype="float64")
    model = keras.Model(symbols, layer(symbols))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    inputs = draw(2, 7, 6)
    assert_array_equal(model(inputs), loaded(inputs))


@pytest.mark.check("masks")
def test_mask_stays():
    ids = np.array([[1, 2, 0], [3, 0, 0]])
    embedded = keras.layers.Embedding(4, 6, mask_zero=True)(ids)
    outputs = RotaryEmbedding()(embedded)
    assert_array_equal(mask_of(outputs), ids != 0)


@pytest.mark.check("bad input")
def test_bad_input():
    message = r"must be even.* Received: inputs\.shape=\(2, 3, 5\)"
    with pytest.raises(ValueError, match=message):
        RotaryEmbedding()(ops.zeros((2, 3, 5)))
    with pytest.raises(ValueError, match="one number for the whole batch"):
        RotaryEmbedding()(ops.zeros((2, 3, 4)), start_index=ops.arange(3))
    with pytest.raises(ValueError, match="expected min_ndim=2, found ndim=1"):
        RotaryEmbedding()(ops.zeros(4))

import keras
import numpy as np
from keras import ops

from layers._random_bits import draw_seed
from layers._random_bits import MULTIPLIERS
from layers._random_bits import random_fractions
from layers._random_bits import STRIDE
from tests.layers.running import array
from tests.layers.running import assert_array_equal
from tests.layers.running import compiled
from tests.layers.running import dtype_of
from tests.layers.running import each_jit


def numpy_mix(bits):
    bits = bits % 2**32
    bits = ((bits ^ (bits >> 16)) * MULTIPLIERS[0]) % 2**32
    bits = ((bits ^ (bits >> 15)) * MULTIPLIERS[1]) % 2**32
    return bits ^ (bits >> 16)


def words(*seed):
    """A seed as `draw_seed` gives it, from integers of 32 bits."""
    like = draw_seed(keras.random.SeedGenerator(0))
    bits = np.array(seed, "uint32")
    if dtype_of(like) == "int32":
        bits = bits.view("int32")
    return ops.convert_to_tensor(bits, dtype=dtype_of(like))


def fractions(shape, seed):
    return array(random_fractions(shape, words(*seed)))


def test_equals_python_integers():
    # Python's integers do not overflow.
    seed = (2**32 - 5, 123456789)
    expected = [
        (numpy_mix(numpy_mix(place * STRIDE + seed[0]) + seed[1]) >> 8) / 2**24
        for place in range(2 * 3 * 5)
    ]
    assert_array_equal(fractions((2, 3, 5), seed).ravel(), expected)


@each_jit
def test_compiled_and_of_unknown_shape(jit):
    seed = words(3, 4)

    def draw(x):
        return random_fractions(ops.shape(x), seed)

    symbols = [keras.KerasTensor((None, None))]
    found = compiled(draw, jit, symbols)(np.zeros((7, 11), "float32"))
    assert_array_equal(found, fractions((7, 11), (3, 4)))


def test_uniform_and_independent():
    count = 2**16
    generator = keras.random.SeedGenerator(0)
    draws = np.stack(
        [
            array(random_fractions((count,), draw_seed(generator)))
            for _ in range(32)
        ]
    )
    assert draws.min() >= 0 and draws.max() < 1
    # Chi-squared of 256 bins: mean 255, deviation 22.6.
    for draw in draws:
        bins = np.bincount((draw * 256).astype(int), minlength=256)
        assert np.sum((bins - 256) ** 2 / 256) < 255 + 5 * 22.6
    # Correlations of 65,536 pairs have the deviation 1/256.
    between = np.corrcoef(draws) - np.eye(32)
    assert np.abs(between).max() < 5 / 256
    for draw in draws[:8]:
        for lag in (1, 2, 3, 16, 64, 128, 512, 1024):
            assert abs(np.corrcoef(draw[:-lag], draw[lag:])[0, 1]) < 5 / 256


def test_a_part_is_drawn_as_in_the_whole():
    seed = words(1, 2)
    whole = array(random_fractions((2, 3, 5, 7), seed)).reshape(30, 7)
    # Rows 11 to 14, columns 2 to 5.
    part = random_fractions((4, 4), seed, first=(11, 2), row_length=7)
    assert_array_equal(part, whole[11:15, 2:6])


def test_places_are_independent_from_seed_to_seed():
    generator = keras.random.SeedGenerator(1)
    draws = np.stack(
        [
            array(random_fractions((64,), draw_seed(generator)))
            for _ in range(1000)
        ]
    )
    places = np.corrcoef(draws.T) - np.eye(64)
    assert np.abs(places).max() < 5.5 / np.sqrt(1000)

"""Random bits from a counter: each number depends on its place and a seed.

So a part of a large tensor can be drawn alone, in any order, and again in a
backward pass. The random numbers of `keras.random` are not used, because
TensorFlow derives their key inside the graph, and XLA on a CPU then derives
it anew for each number, at 100 times the cost.

The method is that of Salmon et al., 2011 (https://doi.org/10.1145/2063384.
2063405), with an integer hash of two rounds instead of a cipher: far from
secret, random enough to drop units.
"""

import keras
from keras import ops

# Odd multipliers with little bias (C. Wellons, "Prospecting for Hash
# Functions", 2018, https://nullprogram.com/blog/2018/07/31/).
MULTIPLIERS = (0x7FEB352D, 0x846CA68B)
# 2^32 divided by the golden ratio: consecutive places lie far apart.
STRIDE = 0x9E3779B9


def _dtype():
    # torch hardly computes with unsigned integers. Products of both kinds
    # have the same low bits.
    return "int32" if keras.config.backend() == "torch" else "uint32"


def _constant(number):
    if _dtype() == "int32" and number >= 2**31:
        number -= 2**32
    return ops.convert_to_tensor(number, dtype=_dtype())


def _shift_right(bits, places):
    shifted = ops.right_shift(bits, _constant(places))
    if _dtype() == "uint32":
        return shifted
    # The sign moves in from the left.
    return ops.bitwise_and(shifted, _constant(2 ** (32 - places) - 1))


def _mix(bits):
    for places, multiplier in zip((16, 15), MULTIPLIERS):
        bits = ops.bitwise_xor(bits, _shift_right(bits, places))
        bits = bits * _constant(multiplier)
    return ops.bitwise_xor(bits, _shift_right(bits, 16))


def draw_seed(seed_generator):
    """Two new words of 32 bits.

    Args:
        seed_generator: `keras.random.SeedGenerator`.
    """
    words = keras.random.randint(
        (2,), -(2**31), 2**31 - 1, dtype="int32", seed=seed_generator
    )
    return ops.cast(words, _dtype())


def random_fractions(shape, seed, first=(0, 0), row_length=None):
    """Numbers from [0, 1) in steps of 2^-24, float32.

    The last axis of a tensor is its columns and all others its rows, and a
    number depends on the seed and on row * row_length + column alone. So a
    part of a large tensor can be drawn by itself.

    Args:
        shape: Sizes, integers or scalar tensors; at most 2^32 numbers.
        seed: What `draw_seed` gave.
        first: Row and column of the first number, scalars.
        row_length: Columns of the large tensor; those of `shape` by default.
    """
    row_length = shape[-1] if row_length is None else row_length
    place = _index(shape[-1]) + ops.cast(first[1], _dtype())
    stride = row_length
    for axis in reversed(range(len(shape) - 1)):
        index = _index(shape[axis]) * ops.cast(stride, _dtype())
        shift = (-1, *[1] * (len(shape) - 1 - axis))
        place = place + ops.reshape(index, shift)
        stride = stride * shape[axis]
    offset = ops.cast(first[0], _dtype()) * ops.cast(row_length, _dtype())
    bits = _mix((place + offset) * _constant(STRIDE) + seed[0])
    bits = _shift_right(_mix(bits + seed[1]), 8)
    return ops.cast(bits, "float32") * 2.0**-24


def _index(count):
    return ops.cast(ops.arange(count, dtype="int32"), _dtype())

"""Positions of a sequence, as whole numbers and as angles."""

import keras
from keras import ops


def known_integer(number):
    """`number` as an integer, or None where the graph alone will know it."""
    try:
        known = int(number)
    except Exception:  # each backend has its own error for a symbol
        return None
    # AutoGraph of TensorFlow makes a tensor of a tensor.
    return known if isinstance(known, int) else None


def row_positions(start_index, length):
    """The positions `start_index .. start_index + length - 1`, int32.

    Args:
        start_index: Position of the first row, an integer or a scalar tensor.
        length: Number of rows, an integer or a scalar tensor.

    Raises:
        ValueError: If `start_index` is no scalar.
    """
    start_index = ops.convert_to_tensor(start_index, dtype="int32")
    if len(start_index.shape) != 0:
        raise ValueError(
            "`start_index` must be one number for the whole batch. "
            f"Received: start_index.shape={tuple(start_index.shape)}"
        )
    return start_index + ops.arange(length, dtype="int32")


def position_angles(start_index, length, dim, max_wavelength, dtype):
    """The angle of each position for each pair of features.

        angle(position, i) = position / max_wavelength^(2i / dim)

    In half precision neighbours would share an angle from position 256 on,
    so the angles are float32 at least.

    Args:
        start_index: Position of the first row, an integer or a scalar tensor.
        length: Number of rows, an integer or a scalar tensor.
        dim: Number of features, an integer.
        max_wavelength: Number of positions in which the slowest angle would
            grow by 1.
        dtype: Type of the result, where it is wider than float32.

    Returns:
        `(length, ceil(dim / 2))`, float32 or wider.
    """
    dtype = keras.backend.result_type(dtype, "float32")
    positions = ops.cast(row_positions(start_index, length), dtype)
    # Python's own numbers: each frequency is rounded once.
    frequencies = [
        float(max_wavelength) ** (-2 * pair / dim)
        for pair in range((dim + 1) // 2)
    ]
    frequencies = ops.convert_to_tensor(frequencies, dtype=dtype)
    return positions[:, None] * frequencies

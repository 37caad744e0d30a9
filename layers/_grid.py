"""Sequences that are the patches of a picture, row by row."""

import math

from keras import ops

from layers._positions import known_integer

# As in torch and OpenCV; others have -0.5.
SHARPNESS = -0.75


def grid_of(num_patches, grid_shape=None):
    """Rows and columns, where they are known to fit.

    Args:
        num_patches: Number of patches, an integer or a scalar tensor.
        grid_shape: `(rows, columns)`; None for a square.

    Raises:
        ValueError: If the grid has another number of patches, or there is no
            such square.
    """
    count = known_integer(num_patches)
    if grid_shape is None:
        side = None if count is None else math.isqrt(count)
        if side is None or side * side != count:
            raise ValueError(
                "Without `grid_shape` the patches must be those of a square. "
                f"Received: number of patches={count}"
            )
        return side, side
    rows, columns = grid_shape
    wanted = known_integer(rows * columns)
    if None not in (count, wanted) and count != wanted:
        raise ValueError(
            "`grid_shape` must have as many places as there are patches. "
            f"Received: grid_shape={(rows, columns)}, "
            f"number of patches={count}"
        )
    return rows, columns


def resample(maps, grid_shape):
    """Maps of another number of rows and columns, by bicubic interpolation.

    Centres of the outer places stay half a place from the border, and beyond
    it the outermost place goes on.

    Args:
        maps: `(rows, columns, dim)`, of known size.
        grid_shape: The new `(rows, columns)`, integers or scalar tensors.

    Returns:
        `(rows, columns, dim)` of the new grid.
    """
    rows, columns, dim = maps.shape
    new_rows, new_columns = grid_shape
    weights = _weights(rows, new_rows, maps.dtype)
    maps = ops.matmul(weights, ops.reshape(maps, (rows, columns * dim)))
    maps = ops.reshape(maps, (new_rows, columns, dim))
    return ops.matmul(_weights(columns, new_columns, maps.dtype), maps)


def _weights(size, new_size, dtype):
    """How much each new place takes of each old one: `(new_size, size)`.

    A product of matrices, since not every backend resizes in a compiled
    graph, in double precision, or with a gradient.
    """
    scale = size / (
        new_size if isinstance(new_size, int) else ops.cast(new_size, dtype)
    )
    places = ops.cast(ops.arange(new_size, dtype="int32"), dtype)
    places = (places + 0.5) * scale - 0.5
    first = ops.floor(places)
    parts = []
    for step in range(-1, 3):
        source = first + step
        share = _cubic(ops.abs(places - source))
        index = ops.cast(ops.clip(source, 0, size - 1), "int32")
        parts.append(share[:, None] * ops.one_hot(index, size, dtype=dtype))
    return sum(parts)


def _cubic(distance):
    """Keys' kernel: 1 at 0, and 0 at all other whole numbers and from 2 on."""
    a = SHARPNESS
    near = ((a + 2) * distance - (a + 3)) * distance * distance + 1
    far = ((a * distance - 5 * a) * distance + 8 * a) * distance - 4 * a
    far = ops.where(distance < 2, far, ops.zeros_like(far))
    return ops.where(distance <= 1, near, far)

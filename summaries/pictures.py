"""Pictures that go into a drawing, and drawings that come out as PNG files."""

import io

import numpy as np
import tensorflow as tf

DOTS_PER_INCH = 100

# The longer side of a picture in a drawing, in pixels: a smaller picture is
# magnified to about this, and a larger one is made smaller beyond the other.
_MAGNIFIED = 168
_LONGEST = 240
# So that a picture of one row can be seen.
_SHORTEST = 8

# What a resized picture may swing over the range from 0 to 1.
_TOLERANCE = 0.05


def as_pixels(image):
    """A picture in the one form that drawings use.

    Args:
        image: Grey `(height, width)` or `(height, width, 1)`, or red, green
            and blue `(height, width, 3)`; uint8, or floating point from 0 to
            1.

    Returns:
        `(height, width, 3)`, uint8.

    Raises:
        ValueError: If the picture has another shape, type or range.
    """
    pixels = np.asarray(image)
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 3) or not pixels.size:
        raise ValueError(
            "A picture must have the shape (height, width), (height, width, "
            "1) or (height, width, 3), none of the sizes 0. "
            f"Received: image.shape={np.shape(image)}"
        )
    if pixels.dtype.kind == "f":
        # NaN is in no range.
        inside = (pixels >= -_TOLERANCE) & (pixels <= 1 + _TOLERANCE)
        if not inside.all():
            raise ValueError(
                "The values of a floating point picture must be from 0 to 1, "
                "before any normalisation. "
                f"Received: image from {pixels.min()} to {pixels.max()}"
            )
        pixels = np.round(255 * np.clip(pixels.astype("float32"), 0, 1))
    elif pixels.dtype != np.uint8:
        raise ValueError(
            "A picture must be uint8, or floating point from 0 to 1. "
            f"Received: image.dtype={pixels.dtype}"
        )
    height, width, _ = pixels.shape
    return np.broadcast_to(pixels, (height, width, 3)).astype("uint8")


def drawn_size(height, width):
    """How large a picture is drawn: `(height, width)` in pixels.

    Small pictures grow by a whole factor, so that all of their pixels become
    squares of one size.
    """
    longest = max(height, width)
    factor = min(max(1, round(_MAGNIFIED / longest)), _LONGEST / longest)
    return tuple(
        max(round(factor * side), _SHORTEST) for side in (height, width)
    )


def draw_pixels(axes, pixels, extent=None, **options):
    """Draw a picture that fills the axes, without blur if it is magnified."""
    height, width = pixels.shape[:2]
    drawn_height, drawn_width = drawn_size(height, width)
    smaller = drawn_height < height or drawn_width < width
    return axes.imshow(
        pixels,
        extent=extent,
        aspect="auto",
        interpolation="antialiased" if smaller else "nearest",
        **options,
    )


def add_axes(figure, left, top, height, width):
    """Axes without a frame at a place in pixels, from the upper left."""
    across, down = figure.get_size_inches() * DOTS_PER_INCH
    axes = figure.add_axes(
        (
            left / across,
            1 - (top + height) / down,
            width / across,
            height / down,
        )
    )
    axes.set_axis_off()
    return axes


def figure_to_png(figure, **options):
    """The bytes of a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DOTS_PER_INCH, **options)
    return buffer.getvalue()


def png_to_pixels(png):
    """`(height, width, 3)`, uint8."""
    return tf.io.decode_png(png, channels=3).numpy()

"""Attention to the patches of a picture, laid over the picture."""

import math

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from summaries.maps import MAX_HEADS
from summaries.pictures import add_axes
from summaries.pictures import as_pixels
from summaries.pictures import DOTS_PER_INCH
from summaries.pictures import draw_pixels
from summaries.pictures import drawn_size
from summaries.pictures import figure_to_png
from summaries.pictures import png_to_pixels

# The picture lies dimmed under a bright yellow, so that more weight is more
# colour and more light: on a dark picture as on a bright one, and for who is
# blind to some colours or to all. Through the thickest of it the picture
# still shows.
_YELLOW = (1.0, 0.75, 0.0)
_OVERLAY = LinearSegmentedColormap.from_list(
    "attention_over_picture", [(*_YELLOW, 0.0), (*_YELLOW, 0.85)]
).with_extremes(bad="red")
# What becomes of its black and its white.
_DARKEST, _BRIGHTEST = 0.08, 0.55

# ITU-R BT.601, as in JPEG.
_BRIGHTNESS = (0.299, 0.587, 0.114)

_MOST_ACROSS = 6

# Pixels.
_BAR = 10
_BAR_NUMBERS = 34
_SMALLEST_BAR = 40
_LABEL = 20
_GAP = 6


def patch_map(scores, image, grid_shape, num_prefix_tokens=0):
    """Draw how much each head looks at each patch of a picture.

    First the picture, then one panel for each head, at most 16: the picture
    in dim greys, under a yellow that is the thicker the more weight a patch
    has.
    What looks is the class token, where there are tokens in front of the
    patches; else it is the mean of the queries, which for attention pooling
    is the weights of the pooling. The weight on the tokens in front is left
    out.

    Each panel has its own scale, from 0 to the greatest weight of its
    patches, as the bar beside it says; the bar shows the colours on what was
    black and what was white. If one patch has the most weight, it is framed.
    NaN is red.

    It uses no state of pyplot, so threads may draw at the same time.

    Args:
        scores: `(num_heads, query_length, key_length)`, where `key_length` is
            the number of prefix tokens and patches.
        image: Grey or coloured, uint8 or floating point from 0 to 1, of any
            size: `(height, width)`, `(height, width, 1)` or
            `(height, width, 3)`. Small ones are magnified without blur.
        grid_shape: `(rows, columns)` of the patches, which stand last in the
            sequence, row by row.
        num_prefix_tokens: Number of tokens in front of the patches, of which
            a class token is the first.

    Returns:
        The drawing, `(height, width, 3)`, uint8.

    Raises:
        ValueError: If the scores do not fit the patches, or the picture has
            another shape, type or range.

    Example:

    >>> scores = model.attention_scores(images)["encoder/3/self"]
    >>> patch_map(scores[0], pictures[0], (14, 14), num_prefix_tokens=1)
    """
    png = patch_map_png(scores, image, grid_shape, num_prefix_tokens)
    return png_to_pixels(png)


def patch_map_png(scores, image, grid_shape, num_prefix_tokens=0):
    """As `patch_map`, as the bytes of a PNG file."""
    scores = np.asarray(scores, "float32")
    rows, columns = grid_shape
    length = num_prefix_tokens + rows * columns
    if scores.ndim != 3 or 0 in scores.shape or scores.shape[2] != length:
        raise ValueError(
            "`scores` must have the shape (num_heads, query_length, "
            f"{length}), for {num_prefix_tokens} prefix tokens and "
            f"{rows} x {columns} patches. "
            f"Received: scores.shape={scores.shape}"
        )
    num_heads, query_length, _ = scores.shape
    if num_prefix_tokens and query_length == length:
        weights = scores[:, 0]
    else:
        weights = scores.mean(axis=1)
    maps = weights[:, num_prefix_tokens:].reshape(num_heads, rows, columns)
    labels = [f"head {head}" for head in range(num_heads)]
    note = ""
    if num_heads > MAX_HEADS:
        note = f"{num_heads - MAX_HEADS} more heads are not shown"
    return _draw(
        as_pixels(image),
        maps[:MAX_HEADS],
        labels[:MAX_HEADS] if num_heads > 1 else [""],
        note,
    )


def rollout_picture(rollout, image):
    """Draw attention rollout over the picture, as `patch_map` does.

    Args:
        rollout: `(rows, columns)`, as `layers.rollout_map` gives it for each
            picture.
        image: See `patch_map`.

    Returns:
        The drawing, `(height, width, 3)`, uint8.

    Raises:
        ValueError: If the rollout or the picture has another shape.
    """
    return png_to_pixels(rollout_picture_png(rollout, image))


def rollout_picture_png(rollout, image):
    """As `rollout_picture`, as the bytes of a PNG file."""
    rollout = np.asarray(rollout, "float32")
    if rollout.ndim != 2 or 0 in rollout.shape:
        raise ValueError(
            "`rollout` must have the shape (rows, columns), none 0. "
            f"Received: rollout.shape={rollout.shape}"
        )
    return _draw(as_pixels(image), rollout[None], ["rollout"], "")


def _draw(pixels, maps, labels, note):
    """PNG of the picture and, beside it, the picture under each map."""
    height, width = drawn_size(*pixels.shape[:2])
    cell_width = max(width, _SMALLEST_BAR) + _BAR + _BAR_NUMBERS + 2 * _GAP
    cell_height = max(height, _SMALLEST_BAR) + _LABEL + _GAP
    count = 1 + len(maps)
    down = math.ceil(count / _MOST_ACROSS)
    across = math.ceil(count / down)
    size = np.array(
        (
            across * cell_width + _GAP,
            down * cell_height + _GAP + (_LABEL if note else 0),
        )
    )
    figure = Figure(figsize=size / DOTS_PER_INCH)
    FigureCanvasAgg(figure)
    for number in range(count):
        below, beside = divmod(number, across)
        left = beside * cell_width + _GAP
        top = below * cell_height + _GAP
        axes = add_axes(figure, left, top, height, width)
        if number == 0:
            draw_pixels(axes, pixels)
            continue
        _draw_map(axes, pixels, maps[number - 1])
        _write(figure, left + width / 2, top + height, labels[number - 1])
        _draw_bar(figure, left + width + _GAP, top, height, maps[number - 1])
    if note:
        _write(figure, _GAP, size[1] - _LABEL, note, align="left")
    return figure_to_png(figure)


def _draw_map(axes, pixels, weights):
    rows, columns = weights.shape
    extent = (-0.5, columns - 0.5, rows - 0.5, -0.5)
    grey = pixels @ np.array(_BRIGHTNESS, "float32")
    grey = _DARKEST + (_BRIGHTEST - _DARKEST) * grey / 255
    draw_pixels(axes, grey, extent, cmap="gray", vmin=0, vmax=1)
    axes.imshow(
        np.ma.masked_invalid(weights),
        cmap=_OVERLAY,
        vmin=0,
        vmax=_greatest(weights) or 1,
        extent=extent,
        aspect="auto",
        interpolation="nearest",
    )
    _frame_greatest(axes, weights)


def _frame_greatest(axes, weights):
    """A white frame with a black edge, seen on any picture."""
    finite = np.where(np.isfinite(weights), weights, 0)
    if (finite >= 0.999 * finite.max()).sum() > 1:
        return  # of weights that are alike none is the greatest
    row, column = np.unravel_index(finite.argmax(), finite.shape)
    for color, line_width in (("black", 4), ("white", 2)):  # pixels
        frame = Rectangle(
            (column - 0.5, row - 0.5),
            1,
            1,
            fill=False,
            edgecolor=color,
            linewidth=line_width * 72 / DOTS_PER_INCH,
        )
        axes.add_patch(frame)


def _greatest(weights):
    return float(weights[np.isfinite(weights)].max(initial=0))


def _draw_bar(figure, left, top, height, weights):
    """The scale, on the darkest grey and on the brightest."""
    height = max(height, _SMALLEST_BAR)
    axes = add_axes(figure, left, top, height, _BAR)
    area = {"extent": (0, 1, 0, 1), "aspect": "auto"}
    shades = [[_DARKEST, _BRIGHTEST]]
    axes.imshow(shades, cmap="gray", vmin=0, vmax=1, **area)
    axes.imshow(np.linspace(1, 0, 101)[:, None], cmap=_OVERLAY, **area)
    axes.add_patch(Rectangle((0, 0), 1, 1, fill=False, linewidth=0.8))
    beside = left + _BAR + _GAP / 2
    greatest = _number(_greatest(weights) or 1)
    _write(figure, beside, top - 3, greatest, align="left", size=7)
    _write(figure, beside, top + height - 10, "0", align="left", size=7)


def _number(value):
    return f"{value:.2g}".removeprefix("0")


def _write(figure, left, top, text, align="center", size=8):
    """Text below a place in pixels, from the upper left."""
    across, down = figure.get_size_inches() * DOTS_PER_INCH
    figure.text(
        left / across,
        1 - (top + 3) / down,
        text,
        fontsize=size,
        horizontalalignment=align,
        verticalalignment="top",
        parse_math=False,
    )

"""A sheet of small pictures with captions."""

import math
import textwrap

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.transforms import IdentityTransform

from summaries.pictures import add_axes
from summaries.pictures import as_pixels
from summaries.pictures import DOTS_PER_INCH
from summaries.pictures import draw_pixels
from summaries.pictures import drawn_size
from summaries.pictures import figure_to_png
from summaries.token_labels import display_text
from summaries.token_labels import FONTS
from summaries.token_labels import shorten

MAX_LINES = 4

# Pixels.
_MARGIN = 14
_LINE = 15
_CHARACTER = 6
_NARROWEST = 140


def contact_sheet(images, captions, columns=5):
    """Draw pictures side by side, each with its caption below.

    Such as the most confident errors of a classifier. Small pictures are
    magnified without blur. A line of a caption that is wider than the
    pictures is broken, and what is beyond four lines is cut.

    It uses no state of pyplot, so threads may draw at the same time.

    Args:
        images: Pictures, grey or coloured, uint8 or floating point from 0 to
            1, `(batch_size, height, width, channels)`, or a list of pictures
            of any sizes.
        captions: A string for each picture, of one line or more.
        columns: Number of pictures side by side.

    Returns:
        The bytes of a PNG file.

    Raises:
        ValueError: If there are no pictures or not as many captions, or a
            picture has another shape, type or range.

    Example:

    >>> captions = ["true: shirt\\npredicted: coat, .98"]
    >>> pathlib.Path("errors.png").write_bytes(contact_sheet(images, captions))
    """
    if len(images) == 0 or len(images) != len(captions) or columns < 1:
        raise ValueError(
            "There must be one picture and one column at least, and a "
            f"caption for each. Received: len(images)={len(images)}, "
            f"len(captions)={len(captions)}, columns={columns}"
        )
    pictures = [as_pixels(image) for image in images]
    height, width = np.max(
        [drawn_size(*picture.shape[:2]) for picture in pictures], axis=0
    )
    width = max(width, _NARROWEST)
    captions = [_lines(caption, width) for caption in captions]
    num_lines = max(map(len, captions))
    cell_width = width + _MARGIN
    cell_height = height + num_lines * _LINE + _MARGIN
    columns = min(columns, len(pictures))
    rows = math.ceil(len(pictures) / columns)
    size = np.array(
        (columns * cell_width + _MARGIN, rows * cell_height + _MARGIN)
    )
    figure = Figure(figsize=size / DOTS_PER_INCH, dpi=DOTS_PER_INCH)
    FigureCanvasAgg(figure)
    for number, (picture, lines) in enumerate(zip(pictures, captions)):
        row, column = divmod(number, columns)
        left = column * cell_width + _MARGIN
        top = row * cell_height + _MARGIN
        _draw_picture(figure, left, top, height, width, picture)
        for place, line in enumerate(lines):
            middle = top + height + (place + 0.5) * _LINE + 2
            _write(figure, left + width / 2, size[1] - middle, line, width)
    return figure_to_png(figure)


def _lines(caption, width):
    lines = [
        line
        for paragraph in caption.split("\n")
        for line in textwrap.wrap(display_text(paragraph), width // _CHARACTER)
        or [""]
    ]
    if len(lines) > MAX_LINES:
        lines = [*lines[: MAX_LINES - 1], f"{lines[MAX_LINES - 1]}…"]
    return lines


def _draw_picture(figure, left, top, height, width, picture):
    """Draw it at the bottom of this place, in the middle."""
    own_height, own_width = drawn_size(*picture.shape[:2])
    left += (width - own_width) // 2
    top += height - own_height
    axes = add_axes(figure, left, top, own_height, own_width)
    draw_pixels(axes, picture, extent=(0, 1, 0, 1))
    # Else a white picture would have no border.
    axes.add_patch(
        Rectangle((0, 0), 1, 1, fill=False, edgecolor="grey", clip_on=False)
    )


def _write(figure, center, middle, line, width):
    """A line of text, cut if it is wider than this."""
    text = figure.text(
        center,
        middle,
        line,
        fontsize=8,
        fontfamily=FONTS,
        horizontalalignment="center",
        verticalalignment="center_baseline",
        parse_math=False,
        transform=IdentityTransform(),
    )
    renderer = figure.canvas.get_renderer()
    length = len(line)
    while text.get_window_extent(renderer).width > width and length > 1:
        length -= 1
        text.set_text(shorten(line, length))

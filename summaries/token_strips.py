"""A text whose tokens are coloured by their weights."""

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.transforms import IdentityTransform

from summaries.pictures import add_axes
from summaries.pictures import DOTS_PER_INCH
from summaries.pictures import figure_to_png
from summaries.pictures import png_to_pixels
from summaries.token_labels import display_label
from summaries.token_labels import FONTS

MAX_TOKENS = 256

# Pixels.
_WIDEST = 900
_LINE = 26
_BOX = 22
_MARGIN = 6
_GAP = 3
_PADDING = 4
_BAR_WIDTH = 120
_BAR_HEIGHT = 10

_COLORS = matplotlib.colormaps["Blues"].with_extremes(bad="red")


def token_strip(weights, tokens):
    """Draw a text with each token on a blue that is its weight.

    The colours go from 0 to the greatest weight of the tokens, as the bar
    below says; NaN is red. At most 256 tokens are drawn. It uses no state of
    pyplot, so threads may draw at the same time.

    Args:
        weights: `(length,)`, such as how much a classifier's summary holds
            of each token.
        tokens: Strings, at most `length`.

    Returns:
        The drawing, `(height, width, 3)`, uint8.

    Raises:
        ValueError: If the weights have another shape, or there are more
            tokens than weights.
    """
    return png_to_pixels(token_strip_png(weights, tokens))


def token_strip_png(weights, tokens):
    """As `token_strip`, as the bytes of a PNG file."""
    weights = np.asarray(weights, "float32")
    if weights.ndim != 1 or len(tokens) > len(weights):
        raise ValueError(
            "`weights` must have the shape (length,), and there must be no "
            f"more tokens. Received: weights.shape={weights.shape}, "
            f"len(tokens)={len(tokens)}"
        )
    weights = weights[: len(tokens)]
    labels = [display_label(token) for token in tokens[:MAX_TOKENS]]
    note = ""
    if len(tokens) > MAX_TOKENS:
        note = f"{len(tokens) - MAX_TOKENS} more tokens are not shown"
    greatest = float(weights[np.isfinite(weights)].max(initial=0)) or 1.0
    return figure_to_png(_draw(weights, labels, greatest, note))


def _draw(weights, labels, greatest, note):
    figure = Figure(dpi=DOTS_PER_INCH)
    renderer = FigureCanvasAgg(figure).get_renderer()
    texts = [_text(figure, label) for label in labels]
    widths = [
        text.get_window_extent(renderer).width + 2 * _PADDING for text in texts
    ]
    places, lines = _lay_out(widths)
    right = max(
        (left + width for (left, _), width in zip(places, widths)), default=0
    )
    width = max(right, _BAR_WIDTH + 200) + _MARGIN
    height = lines * _LINE + _BAR_HEIGHT + 3 * _MARGIN
    figure.set_size_inches(width / DOTS_PER_INCH, height / DOTS_PER_INCH)
    for text, weight, box_width, (left, line) in zip(
        texts, weights, widths, places
    ):
        bottom = height - _MARGIN - line * _LINE - _BOX
        color = _COLORS(np.ma.masked_invalid(weight / greatest))
        _draw_box(figure, left, bottom, box_width, color)
        text.set_position((left + _PADDING, bottom + _BOX / 2))
        # Most of how bright a colour looks is its green.
        text.set_color("white" if color[1] < 0.5 else "black")
    _draw_bar(figure, height - _BAR_HEIGHT - _MARGIN, greatest, note)
    return figure


def _text(figure, label):
    return figure.text(
        0,
        0,
        label,
        fontsize=10,
        fontfamily=FONTS,
        verticalalignment="center_baseline",
        parse_math=False,
        transform=IdentityTransform(),
        zorder=2,
    )


def _draw_box(figure, left, bottom, width, color):
    box = Rectangle(
        (left, bottom),
        width,
        _BOX,
        facecolor=color,
        edgecolor="lightgrey",
        linewidth=0.6,
        transform=IdentityTransform(),
    )
    figure.add_artist(box)


def _lay_out(widths):
    """Left end and line of each token, and how many lines there are."""
    places, left, line = [], _MARGIN, 0
    for width in widths:
        if left > _MARGIN and left + width > _WIDEST:
            left, line = _MARGIN, line + 1
        places.append((left, line))
        left += width + _GAP
    return places, line + 1


def _draw_bar(figure, top, greatest, note):
    left = _MARGIN + 14
    axes = add_axes(figure, left, top, _BAR_HEIGHT, _BAR_WIDTH)
    area = {"extent": (0, 1, 0, 1), "aspect": "auto"}
    axes.imshow(np.linspace(0, 1, 101)[None], cmap=_COLORS, **area)
    axes.add_patch(Rectangle((0, 0), 1, 1, fill=False, linewidth=0.8))
    options = {"fontsize": 7, "transform": IdentityTransform()}
    options["verticalalignment"] = "center_baseline"
    middle = figure.get_size_inches()[1] * DOTS_PER_INCH - top - _BAR_HEIGHT / 2
    figure.text(_MARGIN, middle, "0", **options)
    label = f"{greatest:.2g}".removeprefix("0")
    right = left + _BAR_WIDTH + _PADDING
    figure.text(right, middle, f"{label}   {note}", **options)

"""Heat maps of attention with the tokens on their axes."""

import math

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

from summaries.pictures import figure_to_png
from summaries.pictures import png_to_pixels
from summaries.token_labels import display_label
from summaries.token_labels import FONTS

MAX_HEADS = 16
MAX_LABELS = 64

# Inches.
_CELL = 0.22
_SMALLEST_LABELED_CELL = 0.12
_WIDEST = 14.0
_GAP = 0.3


def attention_map(scores, query_tokens, key_tokens):
    """Draw the scores of one sample.

    One panel for each head, at most 16. Rows are queries and columns keys,
    as many as there are tokens. The colours always go from 0 to 1, on a
    square-root scale so that small weights show; NaN is red. An axis of more
    than 64 tokens, or too narrow for text, has no labels.

    It uses no state of pyplot, so threads may draw at the same time.

    Args:
        scores: `(num_heads, query_length, key_length)`.
        query_tokens: Strings, at most `query_length`.
        key_tokens: Strings, at most `key_length`.

    Returns:
        The picture, `(height, width, 3)`, uint8.

    Raises:
        ValueError: If the scores have another shape or there are more
            tokens than rows or columns.
    """
    png = attention_map_png(scores, query_tokens, key_tokens)
    return png_to_pixels(png)


def attention_map_png(scores, query_tokens, key_tokens):
    """As `attention_map`, as the bytes of a PNG file."""
    scores = np.asarray(scores, "float32")
    _check(scores, query_tokens, key_tokens)
    # A sample without tokens is one blank cell.
    rows, columns = max(len(query_tokens), 1), max(len(key_tokens), 1)
    figure = _draw(
        scores[:MAX_HEADS, :rows, :columns],
        [display_label(token) for token in query_tokens],
        [display_label(token) for token in key_tokens],
        len(scores),
    )
    return figure_to_png(figure, bbox_inches="tight")


def _check(scores, query_tokens, key_tokens):
    if scores.ndim != 3 or 0 in scores.shape:
        raise ValueError(
            "`scores` must have the shape (num_heads, query_length, "
            f"key_length), none 0. Received: scores.shape={scores.shape}"
        )
    if len(query_tokens) > scores.shape[1] or len(key_tokens) > scores.shape[2]:
        raise ValueError(
            f"There are more tokens than rows or columns in scores of shape "
            f"{scores.shape}. Received: len(query_tokens)="
            f"{len(query_tokens)}, len(key_tokens)={len(key_tokens)}"
        )


def _draw(scores, query_labels, key_labels, num_heads):
    """The figure; labels may stick out of it, saving it makes room."""
    shown, rows, columns = scores.shape
    across = math.ceil(math.sqrt(shown))
    down = math.ceil(shown / across)
    width = min(_CELL * columns, _WIDEST / across)
    height = min(_CELL * rows, _WIDEST / across)
    total_width = across * (width + _GAP)
    total_height = down * (height + _GAP)
    figure = Figure(figsize=(total_width, total_height))
    FigureCanvasAgg(figure)
    for head in range(shown):
        below, beside = divmod(head, across)
        axes = figure.add_axes(
            (
                beside * (width + _GAP) / total_width,
                1 - (below * (height + _GAP) + height) / total_height,
                width / total_width,
                height / total_height,
            )
        )
        image = _draw_head(axes, scores[head])
        _label(axes.yaxis, query_labels if beside == 0 else (), height / rows)
        _label(axes.xaxis, key_labels if below == 0 else (), width / columns)
        if num_heads > 1:
            axes.set_xlabel(f"head {head}", fontsize=8, labelpad=3)
    _add_color_bar(figure, image)
    if num_heads > shown:
        note = f"{num_heads - shown} more heads are not shown"
        figure.text(0, 0, note, fontsize=8, verticalalignment="top")
    return figure


def _draw_head(axes, scores):
    colors = matplotlib.colormaps["Blues"].with_extremes(bad="red")
    image = axes.imshow(
        scores,
        cmap=colors,
        norm=PowerNorm(0.5, vmin=0, vmax=1),
        aspect="auto",
    )
    axes.xaxis.tick_top()
    return image


def _label(axis, labels, cell):
    """Put tokens on an axis whose cells are `cell` inches wide."""
    if len(labels) > MAX_LABELS or cell < _SMALLEST_LABELED_CELL:
        labels = ()
    axis.set_ticks(
        range(len(labels)),
        labels=labels,
        parse_math=False,  # a "$" is a token as any other
        fontfamily=FONTS,
        fontsize=min(9, 72 * cell * 0.6),
        rotation=90 if axis.axis_name == "x" else 0,
    )
    axis.set_tick_params(length=0, pad=2)


def _add_color_bar(figure, image):
    """The scale of the colours, an inch high, right of the first row."""
    width, height = figure.get_size_inches()
    axes = figure.add_axes(
        ((width - _GAP + 0.1) / width, 1 - 1 / height, 0.1 / width, 1 / height)
    )
    bar = figure.colorbar(image, cax=axes, ticks=[0, 0.1, 0.25, 0.5, 1])
    bar.ax.set_yticklabels(["0", ".1", ".25", ".5", "1"], fontsize=7)
    bar.outline.set_linewidth(0.5)

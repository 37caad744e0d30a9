"""The confusion matrix of a classifier as a picture."""

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

from summaries.pictures import figure_to_png
from summaries.token_labels import display_text
from summaries.token_labels import FONTS
from summaries.token_labels import MAX_LABEL_LENGTH
from summaries.token_labels import shorten

MAX_LABELED_CLASSES = 100

# Inches.
_LARGEST_CELL = 0.45
_SMALLEST_CELL = 0.14
_SIDE = 14.0
_SHORTEST_BAR, _TALLEST_BAR = 1.2, 2.0

# Points, of which an inch has 72.
_LARGEST_FONT = 9
_SMALLEST_FONT = 5.5
# How much of its size a digit is wide.
_DIGIT = 0.64


def confusion_matrix_png(matrix, class_names):
    """Draw how many samples of each class were taken for which class.

    Rows are the true classes, columns the predicted ones. The colour of a
    cell is its share of the row, from 0 to 1 on a square-root scale so that
    rare errors show. Counts are written into the cells if all of them fit;
    an empty cell is 0. With more than 100 classes there are no names.

    It uses no state of pyplot, so threads may draw at the same time.

    Args:
        matrix: Counts `(num_classes, num_classes)`, as those of
            `sklearn.metrics.confusion_matrix`.
        class_names: Names of the classes, in the order of the rows.

    Returns:
        The bytes of a PNG file.

    Raises:
        ValueError: If the matrix is not square, has something else than
            counts, or not as many rows as there are names.
    """
    counts = np.asarray(matrix)
    _check(counts, class_names)
    num_classes = len(counts)
    cell = min(
        max(_SMALLEST_CELL, min(_LARGEST_CELL, 9 / num_classes)),
        _SIDE / num_classes,
    )
    side = cell * num_classes
    figure = Figure(figsize=(side, side))
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    totals = counts.sum(axis=1, keepdims=True)
    shares = counts / np.maximum(totals, 1)
    image = axes.imshow(
        shares,
        cmap=matplotlib.colormaps["Blues"],
        norm=PowerNorm(0.5, vmin=0, vmax=1),
        aspect="auto",
        interpolation="nearest" if cell > 0.05 else "antialiased",
    )
    _label(axes, class_names, cell)
    _write_counts(axes, counts, shares, cell)
    _add_color_bar(figure, image, side)
    return figure_to_png(figure, bbox_inches="tight")


def _check(counts, class_names):
    if counts.ndim != 2 or len(set(counts.shape)) != 1 or not counts.size:
        raise ValueError(
            "`matrix` must have the shape (num_classes, num_classes). "
            f"Received: matrix.shape={counts.shape}"
        )
    if counts.dtype.kind not in "iu" or counts.min() < 0:
        raise ValueError(
            "`matrix` must hold counts, integers from 0 on. Received: "
            f"matrix.dtype={counts.dtype}, least value {counts.min()}"
        )
    if len(class_names) != len(counts):
        raise ValueError(
            f"There must be {len(counts)} names of classes. "
            f"Received: len(class_names)={len(class_names)}"
        )


def _label(axes, class_names, cell):
    labels = [
        shorten(display_text(str(name)), MAX_LABEL_LENGTH)
        for name in class_names
    ]
    if len(labels) > MAX_LABELED_CLASSES:
        labels = []
    axes.xaxis.tick_top()
    axes.xaxis.set_label_position("top")
    for axis, title in ((axes.xaxis, "predicted"), (axes.yaxis, "true")):
        axis.set_ticks(
            range(len(labels)),
            labels=labels,
            parse_math=False,
            fontfamily=FONTS,
            fontsize=min(_LARGEST_FONT, 72 * cell * 0.65),
            rotation=90 if axis.axis_name == "x" else 0,
        )
        axis.set_tick_params(length=0, pad=3)
        axis.set_label_text(title, fontsize=_LARGEST_FONT)


def _write_counts(axes, counts, shares, cell):
    # In an inch of text of 72 points, about 1 / 0.64 digits.
    digits = len(str(counts.max()))
    size = min(_LARGEST_FONT, 72 * 0.92 * cell / (digits * _DIGIT))
    if size < _SMALLEST_FONT or 72 * cell < 1.3 * size:
        return
    for row, column in np.argwhere(counts):
        axes.text(
            column,
            row,
            str(counts[row, column]),
            fontsize=size,
            color="white" if shares[row, column] > 0.4 else "black",
            horizontalalignment="center",
            verticalalignment="center",
        )


def _add_color_bar(figure, image, side):
    height = max(min(_TALLEST_BAR, side), _SHORTEST_BAR)
    axes = figure.add_axes(
        (1 + 0.15 / side, 1 - height / side, 0.12 / side, height / side)
    )
    bar = figure.colorbar(image, cax=axes, ticks=[0, 0.01, 0.1, 0.25, 0.5, 1])
    bar.ax.set_yticklabels(["0", ".01", ".1", ".25", ".5", "1"], fontsize=7)
    bar.set_label("share of the true class", fontsize=7)
    bar.outline.set_linewidth(0.5)

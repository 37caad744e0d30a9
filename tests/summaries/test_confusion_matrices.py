import concurrent.futures

import numpy as np
import pytest
import tensorflow as tf
from matplotlib import pyplot

from summaries import confusion_matrices
from summaries import confusion_matrix_png

# The darkest of ColorBrewer's "Blues" as matplotlib has it.
ALL = (8, 48, 107)


def names(count):
    return [f"class {number}" for number in range(count)]


def figure_of(monkeypatch, matrix, class_names):
    figures = []
    monkeypatch.setattr(
        confusion_matrices,
        "figure_to_png",
        lambda figure, **options: figures.append(figure),
    )
    confusion_matrix_png(matrix, class_names)
    monkeypatch.undo()
    return figures[0]


def counts_of(figure):
    """`{(row, column): text}` of what is written into the cells."""
    texts = {}
    for text in figure.axes[0].texts:
        column, row = text.get_position()
        texts[row, column] = text.get_text()
    return texts


def shares_of(figure):
    return figure.axes[0].images[0].get_array()


def cell_of(row, column):
    """Middle of the darkest cell of a 4 by 4 matrix: (row, column)."""
    matrix = np.zeros((4, 4), int)
    matrix[row, column] = 7
    png = confusion_matrix_png(matrix, names(4))
    assert png.startswith(b"\x89PNG")
    drawing = tf.io.decode_png(png, channels=3).numpy()
    # Of columns, so that the colour bar, which has all colours, is not met.
    rows, columns = np.nonzero((drawing == ALL).all(axis=-1)[:, :300])
    assert 35 < np.ptp(rows) < 46
    assert 35 < np.ptp(columns) < 46
    return rows.mean(), columns.mean()


def test_rows_are_the_true_classes():
    top, left = cell_of(0, 0)
    below, right = cell_of(1, 3)
    assert below - top == pytest.approx(45, abs=2)
    assert right - left == pytest.approx(3 * 45, abs=2)


def test_colors_are_shares_of_the_row(monkeypatch):
    matrix = np.array([[1, 3, 0], [0, 0, 0], [200, 100, 100]])
    figure = figure_of(monkeypatch, matrix, names(3))
    np.testing.assert_array_equal(
        shares_of(figure), [[0.25, 0.75, 0], [0, 0, 0], [0.5, 0.25, 0.25]]
    )
    assert (
        figure.axes[0].images[0].norm.vmin,
        figure.axes[0].images[0].norm.vmax,
    ) == (0, 1)
    assert counts_of(figure) == {
        (0, 0): "1",
        (0, 1): "3",
        (2, 0): "200",
        (2, 1): "100",
        (2, 2): "100",
    }


def test_labels(monkeypatch):
    hostile = ["$x^2$", "<b>", "ankle boot", "x" * 30, "\0\n"]
    figure = figure_of(monkeypatch, np.eye(5, dtype=int), hostile)
    shown = ["$x^2$", "<b>", "ankle boot", "x" * 19 + "…", "� "]
    for axis, title in zip(
        (figure.axes[0].yaxis, figure.axes[0].xaxis), ("true", "predicted")
    ):
        labels = axis.get_ticklabels()
        assert [label.get_text() for label in labels] == shown
        assert not any(label.get_parse_math() for label in labels)
        assert axis.get_label_text() == title


@pytest.mark.parametrize(
    ("num_classes", "count", "fits"),
    [
        (10, 9_999, True),
        (10, 100_000_000, False),
        (30, 9_999, True),
        (30, 999_999, False),
        (100, 9, False),
    ],
)
def test_counts_are_written_if_they_fit(monkeypatch, num_classes, count, fits):
    matrix = np.diag([1] * (num_classes - 1) + [count])
    figure = figure_of(monkeypatch, matrix, names(num_classes))
    assert len(counts_of(figure)) == (num_classes if fits else 0)
    renderer = figure.canvas.get_renderer()
    cell = figure.axes[0].get_window_extent(renderer).width / num_classes
    for text in figure.axes[0].texts:
        assert text.get_window_extent(renderer).width < cell


def test_many_classes(monkeypatch):
    for count, labeled in ((100, 100), (101, 0), (1000, 0)):
        matrix = np.eye(count, dtype=int)
        figure = figure_of(monkeypatch, matrix, names(count))
        assert len(figure.axes[0].get_yticklabels()) == labeled
        assert len(figure.axes[0].get_xticklabels()) == labeled
        width, height = figure.get_size_inches()
        assert width == height == pytest.approx(14, abs=0.01)


def test_names_of_many_classes_do_not_overlap(monkeypatch):
    figure = figure_of(monkeypatch, np.eye(100, dtype=int), names(100))
    # An inch has 72 points; a line is 1.2 times as high as its letters.
    (size,) = {
        label.get_fontsize() for label in figure.axes[0].get_yticklabels()
    }
    assert 6 < size < 72 * 14 / 100 / 1.2


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("matrix", [[[0]], [[5]], [[0, 0], [0, 0]]])
def test_smallest(matrix):
    png = confusion_matrix_png(matrix, names(len(matrix)))
    assert min(tf.io.decode_png(png).shape[:2]) > 50


def test_threads():
    def draw(count):
        return confusion_matrix_png(np.eye(count, dtype=int), names(count))

    expected = [draw(count) for count in (1, 2, 3)]
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        assert list(pool.map(draw, (1, 2, 3))) == expected
    assert pyplot.get_fignums() == []


@pytest.mark.parametrize(
    ("matrix", "count", "message"),
    [
        (np.ones((2, 3), int), 2, r"matrix\.shape=\(2, 3\)"),
        (np.ones(3, int), 3, r"matrix\.shape=\(3,\)"),
        (np.ones((0, 0), int), 0, r"matrix\.shape=\(0, 0\)"),
        (np.ones((2, 2)), 2, "matrix.dtype=float64"),
        (np.array([[1, -1], [0, 1]]), 2, "least value -1"),
        (np.ones((2, 2), int), 3, r"must be 2 names.*len\(class_names\)=3"),
    ],
)
def test_errors(matrix, count, message):
    with pytest.raises(ValueError, match=message):
        confusion_matrix_png(matrix, names(count))

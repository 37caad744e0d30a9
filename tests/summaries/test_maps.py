import concurrent.futures

import numpy as np
import pytest
import tensorflow as tf
from matplotlib import pyplot

from summaries import attention_map
from summaries import attention_map_png
from summaries import maps
from summaries.token_labels import display_label


def random_scores(*shape):
    generator = np.random.default_rng(7)
    return generator.dirichlet(np.ones(shape[-1]), shape[:-1])


def words(count):
    return [f"word{number}" for number in range(count)]


def color_at(picture, color):
    """Rows and columns of the pixels of one colour."""
    return np.nonzero((picture == color).all(axis=-1))


RED = (255, 0, 0)


def test_picture():
    scores = random_scores(1, 5, 7)
    picture = attention_map(scores, words(5), words(7))
    assert picture.dtype == np.uint8
    assert picture.ndim == 3
    assert picture.shape[2] == 3
    # 5 by 7 cells of 22 pixels, and the labels.
    assert 110 < picture.shape[0] < 250
    assert 154 < picture.shape[1] < 320


def test_rows_are_queries():
    scores = np.zeros((1, 5, 7))
    scores[0, 1, 4] = np.nan
    rows, columns = color_at(attention_map(scores, words(5), words(7)), RED)
    # One cell, whose neighbours are where another value is NaN.
    assert 18 <= np.ptp(rows) <= 22
    assert 18 <= np.ptp(columns) <= 22
    scores[0, 1, 4], scores[0, 3, 5] = 0, np.nan
    other_rows, other_columns = color_at(
        attention_map(scores, words(5), words(7)), RED
    )
    assert other_rows.min() - rows.min() == pytest.approx(2 * 22, abs=2)
    assert other_columns.min() - columns.min() == pytest.approx(22, abs=2)


def test_only_real_tokens_are_drawn():
    scores = np.full((1, 5, 7), np.nan)
    scores[:, :3, :4] = 0.25
    picture = attention_map(scores, words(3), words(4))
    assert color_at(picture, RED)[0].size == 0
    narrow = attention_map(scores[:, :3, :4], words(3), words(4))
    np.testing.assert_array_equal(picture, narrow)


def test_same_colors_whatever_the_other_weights():
    weak = attention_map(np.full((1, 3, 3), 0.1), words(3), words(3))
    strong = attention_map(np.full((1, 3, 3), 0.9), words(3), words(3))
    assert weak.shape == strong.shape
    assert weak.mean() > strong.mean() + 10


def test_heads_stand_in_a_grid():
    one = attention_map(random_scores(1, 5, 7), words(5), words(7))
    four = attention_map(random_scores(4, 5, 7), words(5), words(7))
    assert four.shape[0] > one.shape[0] + 5 * 22
    assert four.shape[1] > one.shape[1] + 7 * 22


def test_heads_beyond_the_limit():
    scores = random_scores(maps.MAX_HEADS + 8, 3, 2)
    with_note = attention_map(scores, words(3), words(2))
    without = attention_map(scores[: maps.MAX_HEADS], words(3), words(2))
    assert with_note.shape[0] > without.shape[0]


def test_large_maps_have_no_labels_and_a_limit():
    large = maps.MAX_LABELS + 1
    picture = attention_map(
        random_scores(1, large, large), ["long label"] * large, words(large)
    )
    # 1,400 pixels and the colour bar, but no labels.
    assert picture.shape[0] < 1430
    assert picture.shape[1] < 1480
    huge = attention_map(random_scores(4, 90, 200), words(90), words(200))
    assert max(huge.shape) < 1600


def test_smallest():
    for rows, columns in ((0, 0), (1, 0), (1, 1)):
        picture = attention_map(np.ones((1, 1, 1)), words(rows), words(columns))
        assert min(picture.shape[:2]) > 20


HOSTILE = [
    "$x^2$",
    "$",
    "\\frac{",
    "<script>alert(1)</script>",
    "\0\x1b[31m\r\n",
    "\u202eabc\u2066",
    "\ud800",
    "日本語",
    "مرحبا",
    "😀\U0001fae8",
    "e" + "\u0301" * 50,
    "x" * 10_000,
    "",
    " ",
    "\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}",
    "%s {} {0}",
]


@pytest.mark.filterwarnings("error")
def test_hostile_tokens():
    count = len(HOSTILE)
    picture = attention_map(random_scores(1, count, count), HOSTILE, HOSTILE)
    # A label is cut, so the picture stays small.
    assert max(picture.shape) < 22 * count + 300


def test_dollars_are_no_formula():
    scores = np.ones((1, 1, 1))
    formula = attention_map(scores, ["$xxxxxxxx$"], ["a"])
    plain = attention_map(scores, ["xxxxxxxx"], ["a"])
    # As a formula the dollars would vanish and make it narrower.
    assert formula.shape[1] > plain.shape[1]


@pytest.mark.parametrize(
    ("token", "label"),
    [
        ("word", "word"),
        ("x" * 20, "x" * 20),
        ("x" * 21, "x" * 19 + "…"),
        ("a b\N{NARROW NO-BREAK SPACE}c\n", "a␣b␣c␣"),
        ("\0\x1b\u202e\u200d\ud800", "�����"),
        ("$x$", "$x$"),
        ("▁né", "▁né"),
        ("مرحبا", "مرحبا"),
        ("\U0002a6d6", "□"),  # a rare Chinese character
        ("", ""),
    ],
)
def test_labels(token, label):
    assert display_label(token) == label


def test_png():
    scores = random_scores(2, 5, 7)
    png = attention_map_png(scores, words(5), words(7))
    assert png.startswith(b"\x89PNG")
    np.testing.assert_array_equal(
        tf.io.decode_png(png, channels=3),
        attention_map(scores, words(5), words(7)),
    )


def test_threads():
    scores = [random_scores(1, rows, 7) for rows in range(1, 5)]

    def draw(values):
        return attention_map(values, words(values.shape[1]), words(7))

    expected = [draw(values) for values in scores]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for picture, again in zip(expected, pool.map(draw, scores)):
            np.testing.assert_array_equal(picture, again)
    assert pyplot.get_fignums() == []


@pytest.mark.parametrize(
    ("shape", "rows", "columns", "message"),
    [
        ((5, 7), 5, 7, r"scores\.shape=\(5, 7\)"),
        ((1, 0, 7), 0, 7, r"scores\.shape=\(1, 0, 7\)"),
        ((1, 5, 7), 6, 7, r"len\(query_tokens\)=6"),
        ((1, 5, 7), 5, 8, r"len\(key_tokens\)=8"),
    ],
)
def test_errors(shape, rows, columns, message):
    with pytest.raises(ValueError, match=message):
        attention_map(np.ones(shape), words(rows), words(columns))

import concurrent.futures
import itertools

import numpy as np
import pytest
import tensorflow as tf
from matplotlib import pyplot

from summaries import token_strip
from summaries import token_strip_png
from summaries import token_strips

# The ends of ColorBrewer's "Blues" as matplotlib has it.
NONE = (247, 251, 255)
MOST = (8, 48, 107)
RED = (255, 0, 0)


def line_of_colors(drawing):
    """The colours of the boxes of the first line, above the letters."""
    line = drawing[9]
    changes = np.flatnonzero((line[1:] != line[:-1]).any(axis=-1))
    runs = itertools.pairwise(changes)
    return [
        tuple(int(value) for value in line[start + 1])
        for start, end in runs
        if end - start > 8
    ]


def figure_of(monkeypatch, *arguments):
    figures = []
    monkeypatch.setattr(token_strips, "figure_to_png", figures.append)
    token_strip_png(*arguments)
    monkeypatch.undo()
    return figures[0]


def texts_of(monkeypatch, *arguments):
    figure = figure_of(monkeypatch, *arguments)
    return [text.get_text() for text in figure.texts]


def test_tokens_have_the_colors_of_their_weights():
    drawing = token_strip([0.0, 0.3, np.nan, 0.1, 0.3], ["xxxx"] * 5)
    none, most, missing, some, again = line_of_colors(drawing)
    assert (none, most, missing, again) == (NONE, MOST, RED, MOST)
    # A third of the way from light to dark.
    assert MOST[0] < some[0] < NONE[0]
    assert sum(some) > (sum(NONE) + sum(MOST)) / 2


def test_the_scale_is_stated(monkeypatch):
    texts = texts_of(monkeypatch, [0.02, 0.014], ["a", "b"])
    assert texts == ["a", "b", "0", ".02   "]


def test_weights_beyond_the_tokens_do_not_count():
    weights = [0.1, 0.2, 0.7]
    np.testing.assert_array_equal(
        token_strip(weights, ["a", "b"]), token_strip(weights[:2], ["a", "b"])
    )


def test_long_texts_have_several_lines():
    few = token_strip(np.ones(5), ["token"] * 5)
    many = token_strip(np.ones(60), ["token"] * 60)
    assert few.shape[0] + 3 * 26 <= many.shape[0] < few.shape[0] + 10 * 26
    assert many.shape[1] < 910


def test_too_many_tokens(monkeypatch):
    count = token_strips.MAX_TOKENS + 7
    texts = texts_of(monkeypatch, np.ones(count), ["a"] * count)
    assert texts.count("a") == token_strips.MAX_TOKENS
    assert texts[-1] == "1   7 more tokens are not shown"


@pytest.mark.filterwarnings("error")
def test_hostile_tokens():
    tokens = ["$x^2$", "\\frac{", "\0\r\n", "\u202eabc", "\ud800", "x" * 9999]
    drawing = token_strip(np.ones(9), [*tokens, "", " ", "<script>"])
    assert max(drawing.shape) < 1000


@pytest.mark.filterwarnings("error")
def test_smallest():
    for weights, tokens in (([], []), ([0.5], []), ([0], ["a"]), ([1], [""])):
        assert min(token_strip(weights, tokens).shape[:2]) > 20


def test_dollars_are_no_formula(monkeypatch):
    figure = figure_of(monkeypatch, [1], ["$x$"])
    (token, *_) = figure.texts
    assert token.get_text() == "$x$"
    assert not token.get_parse_math()


def test_png_and_threads():
    texts = [["word"] * count for count in range(1, 5)]

    def draw(tokens):
        return token_strip(np.ones(len(tokens)), tokens)

    expected = [draw(tokens) for tokens in texts]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for drawing, again in zip(expected, pool.map(draw, texts)):
            np.testing.assert_array_equal(drawing, again)
    assert pyplot.get_fignums() == []
    png = token_strip_png([1], ["word"])
    np.testing.assert_array_equal(
        tf.io.decode_png(png, channels=3), expected[0]
    )


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.ones((1, 2)), r"weights\.shape=\(1, 2\), len\(tokens\)=2"),
        (np.ones(1), r"weights\.shape=\(1,\), len\(tokens\)=2"),
    ],
)
def test_errors(weights, message):
    with pytest.raises(ValueError, match=message):
        token_strip(weights, ["a", "b"])

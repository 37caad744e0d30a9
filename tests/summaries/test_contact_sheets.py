import concurrent.futures

import numpy as np
import pytest
import tensorflow as tf
from matplotlib import pyplot

from summaries import contact_sheet
from summaries import contact_sheets

# 7 times as large in a drawing.
IMAGES = np.random.default_rng(3).integers(0, 250, (7, 24, 20, 3), "uint8")
FACTOR = 7


def sheet(*arguments, **options):
    png = contact_sheet(*arguments, **options)
    assert png.startswith(b"\x89PNG")
    return tf.io.decode_png(png, channels=3).numpy()


def texts_of(monkeypatch, images, captions):
    figures = []
    monkeypatch.setattr(contact_sheets, "figure_to_png", figures.append)
    contact_sheet(images, captions)
    monkeypatch.undo()
    return [text.get_text() for text in figures[0].texts]


def place_of(drawing, image):
    """Where the picture lies, its outermost pixels aside; they are framed."""
    inside = image[1:-1, 1:-1].repeat(FACTOR, 0).repeat(FACTOR, 1)
    first = (drawing == inside[0, 0]).all(axis=-1)
    height, width, _ = inside.shape
    places = [
        (int(row), int(column))
        for row, column in np.argwhere(first)
        if np.array_equal(
            drawing[row : row + height, column : column + width], inside
        )
    ]
    (place,) = places
    return place


def test_pictures_stand_in_rows_and_are_not_blurred():
    drawing = sheet(IMAGES, ["caption"] * 7, columns=3)
    places = [place_of(drawing, image) for image in IMAGES]
    rows, columns = zip(*places)
    assert rows == (rows[0],) * 3 + (rows[3],) * 3 + (rows[6],)
    assert columns == (*columns[:3], *columns[:3], columns[0])
    assert columns[0] + 20 * FACTOR < columns[1] < columns[2]
    # Between the rows there is a line of text.
    assert rows[0] + 24 * FACTOR + 10 < rows[3] < rows[6]


def test_fewer_pictures_than_columns():
    one = sheet(IMAGES[:1], ["caption"])
    assert one.shape[1] < 2 * 20 * FACTOR
    assert sheet(IMAGES, [""] * 7).shape[1] > 5 * 20 * FACTOR


def test_pictures_of_several_sizes():
    images = [np.zeros((8, 8)), np.ones((300, 900, 3)), IMAGES[0]]
    drawing = sheet(images, ["a", "b", "c"])
    place_of(drawing, IMAGES[0])
    assert drawing.shape[1] < 3 * 260 + 20


def test_a_white_picture_has_a_border():
    drawing = sheet(np.ones((1, 24, 20)), [""])
    rows, columns = np.nonzero((drawing < 200).all(axis=-1))
    assert np.ptp(rows) == pytest.approx(24 * FACTOR, abs=2)
    assert np.ptp(columns) == pytest.approx(20 * FACTOR, abs=2)


def test_captions(monkeypatch):
    texts = texts_of(
        monkeypatch, IMAGES[:2], ["true: bag\npredicted: coat", ""]
    )
    assert texts == ["true: bag", "predicted: coat", ""]
    # About 23 characters fit.
    long = "a caption that is too long for one line " + "and on " * 30
    texts = texts_of(monkeypatch, IMAGES[:1], [long])
    assert len(texts) == contact_sheets.MAX_LINES
    assert " ".join(texts[:2]) == "a caption that is too long for one line and"
    assert texts[-1].endswith("…")
    (text,) = texts_of(monkeypatch, IMAGES[:1], ["W" * 23])
    assert text.endswith("WW…")


@pytest.mark.filterwarnings("error")
def test_hostile_captions(monkeypatch):
    captions = ["$x^2$", "\\frac{", "\0\r", "<b>", "\u202eabc", "日本語 ", "%s"]
    texts = texts_of(monkeypatch, IMAGES, captions)
    assert texts[:2] == ["$x^2$", "\\frac{"]
    assert texts[2:5] == ["�", "<b>", "�abc"]
    assert sheet(IMAGES, captions).shape == sheet(IMAGES, ["x"] * 7).shape


def test_dollars_are_no_formula():
    def width(caption):
        drawing = sheet(np.zeros((1, 24, 20)), [caption])
        dark = (drawing[-25:] < 128).all(axis=-1).any(axis=0)
        return np.ptp(np.flatnonzero(dark))

    assert width("$xxxxx$") > width("xxxxx") + 8


def test_threads():
    def draw(count):
        return contact_sheet(IMAGES[:count], ["caption"] * count)

    expected = [draw(count) for count in range(1, 5)]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert list(pool.map(draw, range(1, 5))) == expected
    assert pyplot.get_fignums() == []


@pytest.mark.parametrize(
    ("images", "captions", "columns", "message"),
    [
        ([], [], 5, r"len\(images\)=0"),
        (IMAGES, ["a"] * 6, 5, r"len\(images\)=7, len\(captions\)=6"),
        (IMAGES, ["a"] * 7, 0, "columns=0"),
        (IMAGES - 300.0, ["a"] * 7, 5, "must be from 0 to 1"),
    ],
)
def test_errors(images, captions, columns, message):
    with pytest.raises(ValueError, match=message):
        contact_sheet(images, captions, columns)

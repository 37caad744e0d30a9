import io

import numpy as np
import PIL.Image
import pytest

from serving import ImageClassification
from serving import TextClassification
from serving import Translation
from serving.picture import picture_png
from serving.picture import rollout_png
from summaries import attention_map_png
from training.configuration import ConfigurationError

COLOURS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)]


def opened(png):
    return np.asarray(PIL.Image.open(io.BytesIO(png)).convert("RGB"))


def quarters():
    """8 by 8 pixels: red, green, blue and white quarters."""
    image = np.asarray(COLOURS, "uint8").reshape(2, 2, 3)
    return np.kron(image, np.ones((4, 4, 1), "uint8"))


def where(picture, colour):
    return np.nonzero((picture == colour).all(axis=-1))


def test_the_picture_stands_beside_its_map():
    picture = opened(rollout_png(quarters(), np.eye(2)))
    height, width, _ = picture.shape
    assert width > 1.8 * height
    centres = {}
    for colour in COLOURS[:3]:
        rows, columns = where(picture, colour)
        assert len(rows) > 1_000
        assert columns.max() < width / 2
        centres[colour] = rows.mean(), columns.mean()
    red, green, blue = (centres[colour] for colour in COLOURS[:3])
    # Rows go down, columns to the right.
    assert red[0] == pytest.approx(green[0], abs=2)
    assert red[0] < blue[0]
    assert red[1] < green[1]
    assert red[1] == pytest.approx(blue[1], abs=2)


def test_weights_lie_over_their_patches():
    """Black pictures: only the map has colour, the more the larger."""
    black = np.zeros((8, 12, 3), "uint8")
    rollout = np.zeros((2, 3))
    rollout[1, 2] = 1
    picture = opened(rollout_png(black, rollout)).astype(int)
    height, width, _ = picture.shape
    # What the largest weight has, 0.6 of the last colour over black; the bar
    # of the colours is left out.
    brightness = picture[:, : int(0.92 * width)].sum(axis=-1)
    rows, columns = np.nonzero((brightness > 330) & (brightness < 600))
    right = columns > width / 2
    rows, columns = rows[right], columns[right]
    assert len(rows) > 1_000
    assert rows.mean() > height / 2
    # The last of 2 by 3 patches of 4 by 4 pixels is a square.
    assert np.ptp(columns) == pytest.approx(np.ptp(rows), rel=0.05)
    assert len(rows) == pytest.approx(np.ptp(rows) * np.ptp(columns), rel=0.1)


def test_which_picture_is_drawn():
    attention = np.random.default_rng(0).dirichlet(np.ones(2), (2, 3, 2))
    text = TextClassification(
        "a", 1.0, {"a": 1.0}, ("x", "y"), attention, None, False
    )
    expected = attention_map_png(attention[1], ("x", "y"), ("x", "y"))
    assert picture_png(text) == expected
    translation = Translation("b", 0.0, ("s", "t"), ("x",), attention, False)
    expected = attention_map_png(attention[1], ("x",), ("s", "t"))
    assert picture_png(translation) == expected
    image = ImageClassification(
        "a", 1.0, {"a": 1.0}, True, quarters(), attention, np.eye(2)
    )
    assert picture_png(image) == rollout_png(quarters(), np.eye(2))


def test_nothing_to_draw():
    nothing = Translation("b", 0.0, ("s",), ("x",), None, False)
    with pytest.raises(ConfigurationError, match="no attention to draw"):
        picture_png(nothing)
    unread = ImageClassification(
        "", 0.0, {"a": 0.0}, False, quarters(), None, np.zeros((2, 2))
    )
    with pytest.raises(ConfigurationError, match="can't be read"):
        picture_png(unread)

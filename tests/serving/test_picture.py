import numpy as np
import pytest

from serving import ImageClassification
from serving import TextClassification
from serving import Translation
from serving.picture import picture_png
from summaries import attention_map_png
from summaries import rollout_picture_png
from training.configuration import ConfigurationError

COLOURS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)]


def quarters():
    """8 by 8 pixels: red, green, blue and white quarters."""
    image = np.asarray(COLOURS, "uint8").reshape(2, 2, 3)
    return np.kron(image, np.ones((4, 4, 1), "uint8"))


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
    expected = rollout_picture_png(np.eye(2), quarters())
    assert picture_png(image) == expected


def test_nothing_to_draw():
    nothing = Translation("b", 0.0, ("s",), ("x",), None, False)
    with pytest.raises(ConfigurationError, match="no attention to draw"):
        picture_png(nothing)
    unread = ImageClassification(
        "", 0.0, {"a": 0.0}, False, quarters(), None, np.zeros((2, 2))
    )
    with pytest.raises(ConfigurationError, match="can't be read"):
        picture_png(unread)

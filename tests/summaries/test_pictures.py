import numpy as np
import pytest

from summaries.pictures import as_pixels
from summaries.pictures import drawn_size

GREY = np.array([[0, 51, 255], [102, 204, 153]], "uint8")


@pytest.mark.parametrize(
    "image",
    [
        GREY,
        GREY[:, :, None],
        np.stack([GREY] * 3, axis=-1),
        GREY / 255,
        (GREY / 255).astype("float16"),
        (GREY / 255).tolist(),
    ],
    ids=["grey", "one channel", "three", "float64", "float16", "list"],
)
def test_all_forms_of_one_picture(image):
    pixels = as_pixels(image)
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels, np.stack([GREY] * 3, axis=-1))


def test_colors_stay_apart():
    image = np.random.default_rng(3).integers(0, 256, (5, 7, 3), "uint8")
    np.testing.assert_array_equal(as_pixels(image), image)


def test_what_resizing_swings_beyond_the_range_is_cut():
    pixels = as_pixels(np.array([[-0.04, 1.04]], "float32"))
    np.testing.assert_array_equal(pixels[..., 0], [[0, 255]])


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros(5), r"image\.shape=\(5,\)"),
        (np.zeros((2, 5, 4)), r"image\.shape=\(2, 5, 4\)"),
        (np.zeros((1, 2, 5, 3)), r"image\.shape=\(1, 2, 5, 3\)"),
        (np.zeros((0, 5)), r"image\.shape=\(0, 5\)"),
        (np.array([[-1.2, 0.3]]), "image from -1.2 to 0.3"),
        (np.array([[0.0, 255.0]]), "image from 0.0 to 255.0"),
        (np.array([[np.nan, 0.3]]), "image from nan"),
        (np.zeros((2, 5), "int64"), "image.dtype=int64"),
        (np.zeros((2, 5), bool), "image.dtype=bool"),
    ],
)
def test_what_is_no_picture(image, message):
    with pytest.raises(ValueError, match=message):
        as_pixels(image)


@pytest.mark.parametrize(
    ("size", "drawn"),
    [
        ((8, 8), (168, 168)),  # 21 times
        ((28, 28), (168, 168)),  # 6 times
        ((12, 28), (72, 168)),
        ((32, 20), (160, 100)),  # 5 times
        ((1, 1), (168, 168)),
        ((224, 224), (224, 224)),
        ((240, 130), (240, 130)),
        ((480, 1000), (115, 240)),
        ((2, 1000), (8, 240)),
    ],
)
def test_size_in_a_drawing(size, drawn):
    assert drawn_size(*size) == drawn

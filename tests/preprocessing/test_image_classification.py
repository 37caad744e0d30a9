import io

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

import preprocessing
from preprocessing import ImagePreprocessor
from preprocessing.images import resize

CLASSES = ["cat", "dog"]
# All sizes differ: 2 pictures of 3 by 5.
PIXELS = np.arange(90, dtype="uint8").reshape(2, 3, 5, 3) * 2


def make(**options):
    defaults = {
        "size": (3, 5),
        "channels": 3,
        "mean": [0.1, 0.2, 0.3],
        "standard_deviation": [0.5, 0.25, 2.0],
        "class_names": CLASSES,
    }
    return ImagePreprocessor(**{**defaults, **options})


def png(pixels):
    file = io.BytesIO()
    PIL.Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def test_the_formula():
    preprocessor = make()
    assert preprocessor.image_shape == (3, 5, 3)
    inputs, valid = preprocessor.encode(tf.constant(PIXELS))
    expected = (PIXELS / 255 - [0.1, 0.2, 0.3]) / [0.5, 0.25, 2.0]
    np.testing.assert_allclose(inputs, expected, atol=1e-6)
    assert inputs.dtype == tf.float32
    assert valid.numpy().tolist() == [True, True]


def test_files_pixels_and_floats_are_the_same():
    preprocessor = make(size=(4, 4))
    files = tf.constant([png(pixels) for pixels in PIXELS])
    of_files, valid = preprocessor.encode(files)
    assert valid.numpy().all()
    of_pixels, _ = preprocessor.encode(tf.constant(PIXELS))
    of_floats, _ = preprocessor.encode(
        tf.constant(PIXELS / np.float32(255), tf.float32)
    )
    np.testing.assert_array_equal(of_files, of_pixels)
    np.testing.assert_allclose(of_floats, of_pixels, atol=1e-6)


def test_sixteen_bits():
    preprocessor = make(size=(4, 4))
    of_wide, valid = preprocessor.encode(
        tf.constant(PIXELS.astype("uint16") * 257)
    )
    of_pixels, _ = preprocessor.encode(tf.constant(PIXELS))
    np.testing.assert_allclose(of_wide, of_pixels, atol=1e-6)
    assert valid.numpy().all()


@pytest.mark.parametrize("dtype", ["int32", "int64", "int8", "bool"])
def test_other_types_are_refused(dtype):
    with pytest.raises(ValueError, match=f"Received: images.dtype={dtype}"):
        make().decode(tf.constant((PIXELS > 9).astype(dtype)))


def test_paths_are_files(tmp_path):
    preprocessor = make(size=(4, 4))
    paths = []
    for number, pixels in enumerate(PIXELS):
        paths.append(str(tmp_path / f"{number}.png"))
        (tmp_path / f"{number}.png").write_bytes(png(pixels))
    paths.insert(1, str(tmp_path / "missing.png"))
    decoded, valid = preprocessor.decode(tf.constant(paths), are_paths=True)
    assert valid.numpy().tolist() == [True, False, True]
    assert not decoded[1].numpy().any()
    expected, _ = preprocessor.decode(tf.constant(PIXELS))
    np.testing.assert_array_equal(decoded.numpy()[[0, 2]], expected)


def test_in_an_input_pipeline():
    preprocessor = make(size=(4, 4))
    files = [png(PIXELS[0]), b"", png(PIXELS[1])]
    batches = (
        tf.data.Dataset.from_tensor_slices(files)
        .batch(3)
        .map(preprocessor.encode)
    )
    ((inputs, valid),) = batches
    assert valid.numpy().tolist() == [True, False, True]
    expected, _ = preprocessor.encode(tf.constant(files))
    np.testing.assert_array_equal(inputs, expected)


@pytest.mark.parametrize("channels", [1, 3])
def test_channels(channels):
    preprocessor = make(channels=channels, mean=0.0, standard_deviation=1.0)
    grey = PIXELS[..., :1]
    inputs, _ = preprocessor.encode(tf.constant(grey))
    assert inputs.shape == (2, 3, 5, channels)
    for channel in range(channels):
        np.testing.assert_allclose(inputs[..., channel] * 255, grey[..., 0])
    inputs, _ = preprocessor.encode(tf.constant(PIXELS))
    if channels == 1:
        expected = PIXELS / 255 @ [0.299, 0.587, 0.114]
        np.testing.assert_allclose(inputs[..., 0], expected, atol=1e-6)
    of_files, _ = preprocessor.encode(tf.constant([png(x) for x in PIXELS]))
    np.testing.assert_allclose(of_files, inputs, atol=1e-6)


def test_numbers_that_are_no_picture():
    preprocessor = make(size=(6, 6))
    images = np.tile(PIXELS[:1] / np.float32(255), (6, 1, 1, 1))
    for row, value in ((1, np.nan), (2, np.inf), (3, 1.05), (4, -0.05)):
        images[row, 1, 2, 0] = value
    decoded, valid = preprocessor.decode(tf.constant(images))
    assert valid.numpy().tolist() == [True] + [False] * 4 + [True]
    assert not decoded.numpy()[1:5].any()
    rounded = images[:1] * (1 + 1e-6) - 1e-6
    assert preprocessor.decode(tf.constant(rounded))[1].numpy().all()
    alone, _ = preprocessor.decode(tf.constant(images[:1]))
    np.testing.assert_array_equal(decoded[0], alone[0])
    np.testing.assert_array_equal(decoded[5], alone[0])


def test_what_cannot_be_read_is_black_before_normalization():
    files = tf.constant([b"", png(PIXELS[0])])
    inputs, valid = make().encode(files)
    assert valid.numpy().tolist() == [False, True]
    expected = np.array([-0.1, -0.2, -0.3]) / [0.5, 0.25, 2.0]
    np.testing.assert_allclose(
        inputs[0], np.broadcast_to(expected, (3, 5, 3)), atol=1e-6
    )


@pytest.mark.parametrize("shape", [(3, 5, 3), (1, 3, 5, 2), (1, 3, 5, 4)])
def test_wrong_axes_and_channels(shape):
    with pytest.raises(ValueError, match=r"Received: images\.shape="):
        make().encode(tf.zeros(shape))


def test_statistics_of_the_training_pictures():
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (7, 3, 5, 3), dtype="uint8")
    images[..., 2] //= 4
    images = [*images[:4], images[4:]]
    batches = [
        tf.constant([png(images[0]), b"", png(images[1])]),
        tf.constant([png(images[2]), png(images[3])]),
        tf.constant(images[4]),
    ]
    preprocessor = ImagePreprocessor.train(batches, CLASSES, (3, 5))
    values = np.concatenate([np.stack(images[:4]), images[4]]) / 255
    np.testing.assert_allclose(
        preprocessor.mean, values.mean(axis=(0, 1, 2)), rtol=1e-6
    )
    np.testing.assert_allclose(
        preprocessor.standard_deviation, values.std(axis=(0, 1, 2)), rtol=1e-6
    )
    grey = ImagePreprocessor.train(batches, CLASSES, (3, 5), channels=1)
    np.testing.assert_allclose(
        grey.mean, (values @ [0.299, 0.587, 0.114]).mean(), rtol=1e-6
    )


def test_no_statistics():
    with pytest.raises(ValueError, match="no pictures that can be read"):
        ImagePreprocessor.train([tf.constant([b""])], CLASSES, (3, 5))
    with pytest.raises(ValueError, match=r"Received: values from 0\.0 to 255"):
        ImagePreprocessor.train(
            [tf.constant([[[[0.0], [255.0]]]])], CLASSES, (3, 5)
        )
    with pytest.raises(ValueError, match="all of one colour"):
        ImagePreprocessor.train([tf.ones((2, 3, 5, 3))], CLASSES, (3, 5))


def test_interpolation_is_used():
    images = tf.constant(PIXELS / np.float32(255), tf.float32)
    decoded = {}
    for interpolation in ("bilinear", "bicubic"):
        preprocessor = make(size=(7, 9), interpolation=interpolation)
        decoded[interpolation], _ = preprocessor.decode(images)
        np.testing.assert_array_equal(
            decoded[interpolation], resize(images, (7, 9), interpolation)
        )
    assert np.abs(decoded["bilinear"] - decoded["bicubic"]).max() > 1e-3


def test_saved_and_loaded_is_the_same(tmp_path):
    preprocessor = make(
        size=(7, 4),
        channels=1,
        mean=1 / 3,
        standard_deviation=np.float32(0.1),
        class_names=["猫", "dog", "cow"],
        interpolation="bicubic",
    )
    preprocessor.save(tmp_path / "deep" / "folder")
    loaded = preprocessing.load_preprocessor(tmp_path / "deep" / "folder")
    assert type(loaded) is ImagePreprocessor
    images = tf.constant(PIXELS)
    np.testing.assert_array_equal(
        loaded.encode(images)[0], preprocessor.encode(images)[0]
    )
    assert loaded.image_shape == (7, 4, 1)
    assert loaded.classes.names == ("猫", "dog", "cow")
    assert loaded.mean == preprocessor.mean == (1 / 3,)
    assert loaded.interpolation == "bicubic"


@pytest.mark.parametrize(
    "options",
    [
        {"size": (3,)},
        {"size": (0, 5)},
        {"channels": 4},
        {"mean": [0.1, 0.2]},
        {"mean": float("nan")},
        {"standard_deviation": 0.0},
        {"standard_deviation": [1.0, -1.0, 1.0]},
        {"class_names": ["one"]},
        {"interpolation": "nearest"},
    ],
)
def test_bad_arguments(options):
    ((name, _),) = options.items()
    with pytest.raises(ValueError, match=f"Received: {name}="):
        make(**options)

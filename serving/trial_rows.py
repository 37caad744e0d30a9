"""Inputs to compare runtimes with: real ones, and some that are not."""

import json
import pathlib

import numpy as np
import tensorflow as tf

from serving.contract import served_signatures
from serving.image_classifier import as_files
from serving.saved_model_files import read_meta_graph
from training.configuration import configuration_of
from training.configuration import ConfigurationError
from training.task import load_task

_TEXTS = [
    "",
    " ",
    "Qwxz Jfkı 🦆🎉 漢字",
    "so long " * 250,
    "a\0b",
    b"\xff\xfe\xc3",  # no UTF-8
]


def takes_pictures(path):
    """Whether a SavedModel takes files of pictures, no texts."""
    signatures = served_signatures(read_meta_graph(path))
    return "image" in signatures["serving_default"].inputs


def data_rows(path, count):
    """The first validation examples of a model's data.

    Args:
        path: Folder of the SavedModel, whose card names the data.
        count: How many at most.

    Returns:
        An array of texts, or of the bytes of PNG files.

    Raises:
        ConfigurationError: If there is no such card.
        DataError: If the data can't be read.
    """
    card = pathlib.Path(path, "model_card.json")
    try:
        text = card.read_text("utf-8")
        configuration = configuration_of(json.loads(text)["configuration"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(
            f"{card} does not say which data the model is of ({error!r}): "
            "give inputs."
        ) from error
    task = load_task(configuration, needed=["validation"])
    return as_rows(task.sources(count), takes_pictures(path))


def as_rows(sources, are_pictures):
    """Texts, or what `serving` takes for pictures, paths among it, as an
    array of bytes."""
    texts = as_files(sources) if are_pictures else tf.constant(sources)
    return texts.numpy()


def odd_rows(rows, are_pictures):
    """Inputs that models were not fitted on, as an array of bytes.

    Args:
        rows: Some that are not odd.
        are_pictures: Whether these are files, of which some of the odd ones
            are damaged or of another size.
    """
    if not are_pictures:
        return as_rows(_TEXTS, are_pictures)
    grey = np.linspace(0, 255, 30 * 20 * 3).astype(np.uint8)
    jpeg = tf.io.encode_jpeg(grey.reshape(20, 30, 3)).numpy()
    half = rows[0][: len(rows[0]) // 2]
    return np.array(
        [b"", jpeg, b"This is no picture.", half, jpeg[: len(jpeg) // 2]],
        object,
    )


def as_pixels(seen, info):
    """Numbers from 0 to 1 of pictures, those of the last one damaged.

    Args:
        seen: `(count, height, width, 3)`, uint8, as `explain` gives them.
        info: The `TensorInfo` of the input, which tells the channels.
    """
    channels = info.tensor_shape.dim[-1].size
    pixels = seen[..., :channels] / np.float32(255)
    pixels[-1, 0, 0] = np.nan
    return pixels

"""Pictures into the inputs of a model, and the names of their classes."""

import pathlib

import numpy as np
import tensorflow as tf

from preprocessing.class_names import ClassNames
from preprocessing.configuration_file import read_configuration
from preprocessing.configuration_file import write_configuration
from preprocessing.images import as_channels
from preprocessing.images import decode_images
from preprocessing.images import INTERPOLATIONS
from preprocessing.images import resize

_TASK = "image_classification"

# What rounding may add to the range from 0 to 1.
TOLERANCE = 1e-3


class ImagePreprocessor(tf.Module):
    """The size and range of a model's pictures, and the names of the classes.

    It carries all that a fitted classifier needs besides its weights, and is
    saved beside them. Of a value v from 0 to 1 the model sees
    (v - mean) / standard deviation, for each channel.

    Args:
        size: `(height, width)`.
        channels: 3, or 1 for grey.
        mean: For each channel, or one number for all.
        standard_deviation: The same, above 0.
        class_names: Names of the classes, in the order of the labels; None
            for a model without classes: `classes` is None then.
        interpolation: How pictures are resized, `"bilinear"` or `"bicubic"`.

    Raises:
        ValueError: An argument is none of these.
    """

    def __init__(
        self,
        size,
        channels,
        mean,
        standard_deviation,
        class_names,
        interpolation="bilinear",
    ):
        super().__init__()
        self.size = tuple(int(side) for side in size)
        if len(self.size) != 2 or min(self.size) < 1:
            raise ValueError(
                f"A size is a height and a width. Received: size={size!r}"
            )
        if channels not in (1, 3):
            raise ValueError(
                f"There are 1 or 3 channels. Received: channels={channels!r}"
            )
        if interpolation not in INTERPOLATIONS:
            raise ValueError(
                f"`interpolation` is one of {', '.join(INTERPOLATIONS)}. "
                f"Received: interpolation={interpolation!r}"
            )
        self.channels = channels
        self.mean = _of_each_channel("mean", mean, channels)
        self.standard_deviation = _of_each_channel(
            "standard_deviation", standard_deviation, channels
        )
        if min(self.standard_deviation) <= 0:
            raise ValueError(
                "A standard deviation is above 0. Received: "
                f"standard_deviation={standard_deviation!r}"
            )
        self.classes = None if class_names is None else ClassNames(class_names)
        self.interpolation = interpolation

    @classmethod
    def train(
        cls, batches, class_names, size, channels=3, interpolation="bilinear"
    ):
        """Learn mean and standard deviation from the training pictures.

        Args:
            batches: Iterable of batches as `decode` takes them. Files that
                can't be read do not count.
            class_names: Names of the classes, in the order of the labels.
            size: `(height, width)`.
            channels: 3, or 1 for grey.
            interpolation: `"bilinear"` or `"bicubic"`.

        Raises:
            ValueError: There is no picture, a channel has one value
                throughout, or pixels given as floats are out of their range.
        """
        plain = cls(size, channels, 0.0, 1.0, class_names, interpolation)
        decode = tf.function(
            plain.decode, autograph=False, reduce_retracing=True
        )
        count, total, squares = 0, np.zeros(channels), np.zeros(channels)
        for batch in batches:
            images, valid = decode(batch)
            if batch.dtype != tf.string and not tf.reduce_all(valid):
                raise ValueError(
                    "Pixels given as floats are from 0 to 1. Received: values "
                    f"from {np.min(batch)} to {np.max(batch)}"
                )
            pixels = images.numpy()[valid.numpy()].reshape(-1, channels)
            count += len(pixels)
            total += pixels.sum(axis=0, dtype=np.float64)
            squares += np.square(pixels, dtype=np.float64).sum(axis=0)
        if not count:
            raise ValueError("There are no pictures that can be read.")
        mean = total / count
        deviation = np.sqrt(np.maximum(squares / count - mean**2, 0))
        if deviation.min() < 1e-6:
            raise ValueError(
                "The pictures must not be all of one colour. Received: a "
                f"standard deviation of {deviation.tolist()}"
            )
        return cls(size, channels, mean, deviation, class_names, interpolation)

    def with_classes(self, class_names):
        """The same preprocessor for other classes."""
        return type(self)(
            self.size,
            self.channels,
            self.mean,
            self.standard_deviation,
            class_names,
            self.interpolation,
        )

    @property
    def image_shape(self):
        """`(height, width, channels)`."""
        return (*self.size, self.channels)

    def decode(self, images, are_paths=False):
        """Brings pictures to the size and the channels of the model.

        Args:
            images: `(batch_size,)` strings, the bytes of PNG or JPEG files,
                see `preprocessing.images.decode_images`; or pixels
                `(batch_size, height, width, 1 or 3)` of any size: uint8 from
                0 to 255, uint16 from 0 to 65,535, or float from 0 to 1.
            are_paths: Whether the strings are the paths of files.

        Returns:
            Images `(batch_size, *image_shape)`, float32 from 0 to 1, and
            `(batch_size,)` boolean, whether each can be read. A picture
            given as floats can't be read if one of them is NaN or out of the
            range by more than 0.001, which rounding may add. What can't be
            read is 0.

        Raises:
            ValueError: The pixels have another type or another number of axes
                or channels.
        """
        if images.dtype == tf.string:
            return decode_images(
                images,
                self.size,
                self.channels,
                self.interpolation,
                are_paths,
            )
        if len(images.shape) != 4 or images.shape[-1] not in (1, 3):
            raise ValueError(
                "Pixels are (batch_size, height, width, 1 or 3). "
                f"Received: images.shape={tuple(images.shape)}"
            )
        if images.dtype in (tf.uint8, tf.uint16):
            valid = tf.fill(tf.shape(images)[:1], True)
        elif images.dtype.is_floating:
            images = tf.cast(images, tf.float32)
            # NaN is in no range.
            inside = (images >= -TOLERANCE) & (images <= 1.0 + TOLERANCE)
            valid = tf.reduce_all(inside, axis=(1, 2, 3))
            images = tf.where(valid[:, None, None, None], images, 0.0)
        else:
            raise ValueError(
                "Pixels are uint8, uint16, or floats from 0 to 1. "
                f"Received: images.dtype={images.dtype.name}"
            )
        images = resize(images, self.size, self.interpolation)
        return as_channels(images, self.channels), valid

    def normalize(self, images):
        """From 0..1 to what the model sees: `(v - mean) / deviation`."""
        return (images - self.mean) / self.standard_deviation

    def encode(self, images, are_paths=False):
        """Pictures to the inputs of the model.

        Args:
            images, are_paths: As for `decode`.

        Returns:
            Inputs `(batch_size, *image_shape)`, float32, and `(batch_size,)`
            boolean, whether each can be read.
        """
        images, valid = self.decode(images, are_paths)
        return self.normalize(images), valid

    def save(self, directory):
        """Write the preprocessor into a folder."""
        directory = pathlib.Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        write_configuration(
            directory,
            {
                "task": _TASK,
                "size": self.size,
                "channels": self.channels,
                "mean": self.mean,
                "standard_deviation": self.standard_deviation,
                "interpolation": self.interpolation,
                "class_names": self.classes and self.classes.names,
            },
        )

    @classmethod
    def load(cls, directory):
        """Read what `save` wrote."""
        config = read_configuration(directory, _TASK)
        del config["task"]
        return cls(**config)


def _of_each_channel(name, value, channels):
    values = np.asarray(value, np.float64)
    if values.shape not in ((), (1,), (channels,)):
        raise ValueError(
            f"One number for each of {channels} channels is needed. "
            f"Received: {name}={value!r}"
        )
    if not np.isfinite(values).all():
        raise ValueError(
            f"Finite numbers are needed. Received: {name}={value!r}"
        )
    return tuple(np.broadcast_to(values, (channels,)).tolist())

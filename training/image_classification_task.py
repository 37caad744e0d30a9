"""Fitting classifiers of pictures."""

import base64
import dataclasses
import functools
import os

import numpy as np
import tensorflow as tf

from datasets import DataError
from preprocessing.batches import untuned
from preprocessing.classification_batches import ImageBatches
from preprocessing.image_classification import ImagePreprocessor
from summaries import AttentionSamples
from summaries import PatchSide
from training.augmentation import AugmentedClassifier
from training.classification_task import ClassificationTask
from training.classification_task import EVALUATION_BATCH_SIZE
from training.configuration import ConfigurationError
from training.objective import Objective

_ROWS_AT_ONCE = 1024
# Files may be large, and only their bytes are read at once.
_FILES_AT_ONCE = 16


@dataclasses.dataclass(frozen=True)
class Images:
    """The pictures of a split: pixels in memory, or paths of files.

    Attributes:
        images: uint8 `(num_images, height, width, channels)`; or paths or
            contents of files, `(num_images,)` objects, each bytes.
        labels: `(num_images,)`, the numbers of their classes in the data.
        content_hashes: Of pictures that are paths, the hash of each file as
            it was when the data were loaded; None otherwise.
    """

    images: np.ndarray
    labels: np.ndarray
    content_hashes: list | None = None

    def __len__(self):
        return len(self.labels)

    @property
    def are_pixels(self):
        """Whether the pictures are pixels, of one size."""
        return self.images.dtype == np.uint8

    @property
    def are_paths(self):
        """Whether the pictures are paths of files."""
        return self.content_hashes is not None

    @property
    def contents(self):
        """What tells the examples apart."""
        return self.content_hashes if self.are_paths else self.images

    def select(self, rows):
        """The pictures of these rows, as the preprocessing takes them.

        Raises:
            DataError: If a file can't be read any more.
        """
        if self.are_pixels:
            return tf.constant(self.images[rows])
        chosen = self.images[rows]
        if self.are_paths:
            chosen = [_read_file(path) for path in chosen]
        return tf.constant(list(chosen), tf.string)

    def refusal(self, rows):
        """The error about pictures that can't be read (any more)."""
        row = int(rows[0])
        received = ", ".join(
            f"{k}={v!r}" for k, v in self.describe(row).items()
        )
        return DataError(
            "A picture can't be read that could be when the data were "
            f"loaded. Received: {received}"
        )

    def describe(self, row):
        """What an evaluation says of an example."""
        if self.are_paths:
            return {"path": self.images[row].decode(errors="replace")}
        return {"number": int(row)}


def _paths(files):
    """The `Images` of files, of which only the paths are held."""
    return Images(
        np.array([os.fsencode(file.path) for file in files], object),
        np.array([file.label for file in files], np.int32),
        [file.content_hash for file in files],
    )


def _read_file(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise DataError(
            "A picture can't be read that could be when the data were loaded: "
            f"{error.strerror}. Received: path={os.fsdecode(path)!r}"
        ) from error


class ImageClassificationTask(ClassificationTask):
    """See `Task`; the splits are `Images`."""

    examples = scored = "images"

    def read(self, name):
        if name in self.loaded.files:
            return _paths(self.loaded.files[name])
        images, labels = [], [np.zeros(0, np.int32)]
        rows = self.loaded.splits[name].batch(_ROWS_AT_ONCE)
        for batch in untuned(rows):
            images.append(batch["image"].numpy())
            labels.append(batch["label"].numpy())
        images = np.concatenate(images) if images else np.zeros(0, object)
        return Images(images, np.concatenate(labels))

    def train_preprocessor(self, options):
        train = self.splits["train"]
        given = dict(options)
        size = given.pop("height"), given.pop("width")
        channels = given.pop("channels")
        if train.are_pixels:
            _, *own, own_channels = train.images.shape
            size = tuple(a or b for a, b in zip(size, own))
            channels = channels or own_channels
        elif not min(size):
            raise ConfigurationError(
                "Files of pictures may have any size, so the size of the "
                "model's pictures must be given. "
                f"Received: height={size[0]}, width={size[1]}"
            )
        count = _ROWS_AT_ONCE if train.are_pixels else _FILES_AT_ONCE
        return ImagePreprocessor.train(
            (
                train.select(slice(start, start + count))
                for start in range(0, len(train), count)
            ),
            self.loaded.class_names,
            size,
            channels or 3,
            **given,
        )

    def sizes(self, preprocessor):
        return {
            **super().sizes(preprocessor),
            "image_shape": preprocessor.image_shape,
        }

    def example_inputs(self, preprocessor):
        return np.zeros((1, *preprocessor.image_shape), np.float32)

    def training_batches(self, recipe, preprocessor):
        batches = self._batches(
            preprocessor,
            "train",
            recipe.batch_size,
            preprocessor.decode,
            recipe.seed,
        )
        height, width, channels = preprocessor.image_shape
        print(self.describe_split("train", self.splits["train"].labels))
        print(
            f"batches    {batches.steps_per_epoch:,} an epoch, of "
            f"{batches.batch_sizes[0]} images, {height} x {width} x {channels}"
        )
        return batches

    def report_validation(self, preprocessor):
        labels = self.splits["validation"].labels
        print(self.describe_split("validation", labels))

    def objective(self, recipe, model, preprocessor):
        fitted = AugmentedClassifier(
            model,
            recipe,
            preprocessor.image_shape,
            preprocessor.normalize,
            self.class_weights(recipe, preprocessor),
        )
        return Objective(model, fitted, self.loss(recipe))

    def evaluation_batches(self, preprocessor, split):
        return self._batches(
            preprocessor, split, EVALUATION_BATCH_SIZE, preprocessor.encode
        )

    def samples(self, model, preprocessor):
        watched = self.splits["validation"].select(self.watched())
        images, _ = preprocessor.decode(watched)
        side = PatchSide(
            images.numpy(), model.grid_shape_of(images), model.num_prefix_tokens
        )
        return AttentionSamples(
            inputs=preprocessor.normalize(images), sides={"image": side}
        )

    def pictures(self, preprocessor, split):
        def decode(rows):
            images, _ = preprocessor.decode(self.splits[split].select(rows))
            return images.numpy()

        return decode

    def sources(self, count):
        chosen = self.splits["validation"].select(slice(count))
        return list(chosen.numpy())

    @property
    def example(self):
        validation = self.splits["validation"]
        picture = validation.select([0])
        if validation.are_pixels:
            picture = [tf.io.encode_png(picture[0])]
        content = base64.b64encode(picture[0].numpy()).decode()
        return {"image_png_base64": content}

    def _batches(self, preprocessor, split, batch_size, decode, seed=0):
        found = self.splits[split]
        return ImageBatches(
            found.images,
            self.labels(preprocessor, split),
            len(preprocessor.classes),
            batch_size,
            functools.partial(decode, are_paths=found.are_paths),
            found.refusal,
            seed,
        )

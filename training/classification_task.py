"""What fitting a classifier of texts and one of pictures have in common."""

import abc

import keras
import numpy as np

from training.classification import ClassificationEvaluator
from training.configuration import ConfigurationError
from training.objective import Objective
from training.task import Task

# Validation examples whose attention TensorBoard shows.
WATCHED = 6
# Examples at a time where nothing is learned.
EVALUATION_BATCH_SIZE = 256


class ClassificationTask(Task):
    """See `Task`; a split has `labels`, the numbers of the data's classes, and
    `contents`, what tells its examples apart."""

    def columns(self, name):
        split = self.splits[name]
        # A class more may change the numbers of the others.
        classes = [self.loaded.class_names[label] for label in split.labels]
        return split.contents, classes

    def sizes(self, preprocessor):
        return {"num_classes": len(preprocessor.classes)}

    def adapt(self, preprocessor):
        if preprocessor.classes.names == tuple(self.loaded.class_names):
            return preprocessor
        return preprocessor.with_classes(self.loaded.class_names)

    def same_classes(self, before, after):
        if before.classes is None:
            return False
        return before.classes.names == after.classes.names

    def labels(self, preprocessor, split):
        """The labels of a split, as the preprocessor numbers the classes.

        Raises:
            ConfigurationError: If it does not know a class of the data.
        """
        try:
            numbers = preprocessor.classes.translation(self.loaded.class_names)
        except ValueError as error:
            raise ConfigurationError(str(error)) from error
        return numbers[self.splits[split].labels]

    def class_weights(self, recipe, preprocessor):
        """The weight of each class, with a mean of 1 over the examples; or
        None."""
        if recipe.class_weights == "none":
            return None
        labels = self.labels(preprocessor, "train")
        counts = np.bincount(labels, minlength=len(preprocessor.classes))
        present = np.maximum(counts, 1)
        return len(labels) / (np.count_nonzero(counts) * present)

    def loss(self, recipe):
        """Cross-entropy of the classes."""
        return keras.losses.CategoricalCrossentropy(
            from_logits=True,
            label_smoothing=recipe.label_smoothing,
            reduction="mean_with_sample_weight",
        )

    def objective(self, recipe, model, preprocessor):
        return Objective(model, model, self.loss(recipe))

    def check_model(self, recipe, model):
        pass

    @abc.abstractmethod
    def evaluation_batches(self, preprocessor, split):
        """`Batches` of a split, whose inputs are those of the model."""

    def evaluator(self, model, preprocessor, split, decoding=None, chosen=None):
        if decoding is not None:
            raise ConfigurationError(
                "Only a translator searches for its answer. "
                f"Received: decoder={decoding.decoder}"
            )
        return ClassificationEvaluator(
            model,
            self.evaluation_batches(preprocessor, split),
            self.labels(preprocessor, split),
            preprocessor.classes.names,
            self.splits[split],
            self.pictures(preprocessor, split),
        )

    def pictures(self, preprocessor, split):
        """A function of row numbers that gives pictures, or None."""
        return None

    def watched(self):
        """Numbers of the validation examples that TensorBoard shows."""
        count = len(self.splits["validation"])
        return np.unique(np.linspace(0, count - 1, WATCHED).astype(int))

    def describe_split(self, name, labels):
        """One line on a split: how many examples, and how many a class."""
        counts = np.bincount(labels, minlength=len(self.loaded.class_names))
        return (
            f"{name:<10} {len(labels):>7,} {self.examples}, "
            f"{len(counts)} classes of {counts.min():,} to {counts.max():,}"
        )

    def describe(self):
        return {
            **super().describe(),
            "class_names": list(self.loaded.class_names),
            self.examples: {
                name: len(split) for name, split in self.splits.items()
            },
        }

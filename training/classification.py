"""How good a classifier is, and where it errs."""

import numpy as np
import tensorflow as tf

from summaries import confusion_matrix_png
from summaries import contact_sheet
from training.resume import write_atomically
from training.tsv_file import write_tsv

# Errors that an evaluation lists.
_MOST_ERRORS = 10


class ClassificationEvaluator:
    """Classifies the examples of a split and compares.

    Args:
        model: A classifier of the zoo.
        batches: `Batches` of the split, whose inputs are those of the model.
        labels: `(num_examples,)`, the right classes.
        class_names: Names of the classes.
        examples: The split; `describe(row)` says what an example is.
        pictures: Function of row numbers that gives their pictures, or None.
    """

    def __init__(
        self, model, batches, labels, class_names, examples, pictures=None
    ):
        self.model = model
        self.batches = batches
        self.labels = labels
        self.class_names = class_names
        self.examples = examples
        self.pictures = pictures
        self.probabilities = None  # of the last `evaluate`
        self._classify = tf.function(
            lambda inputs: tf.nn.log_softmax(model(inputs, training=False)),
            autograph=False,
            reduce_retracing=True,
        )

    def evaluate(self):
        """All scores of the split.

        Returns:
            A dictionary: `loss` (cross-entropy, in nats), `accuracy` and
            `macro_f1`, the mean over the classes of the harmonic mean of
            precision and recall; 0 to 1.
        """
        from sklearn import metrics

        shape = len(self.labels), len(self.class_names)
        scores = np.zeros(shape, np.float32)
        for rows, inputs, _ in self.batches.with_rows():
            scores[rows] = self._classify(inputs).numpy()[: len(rows)]
        self.probabilities = np.exp(scores)
        return {
            "loss": float(-scores[np.arange(len(scores)), self.labels].mean()),
            "accuracy": metrics.accuracy_score(self.labels, self.predicted),
            "macro_f1": metrics.f1_score(
                self.labels,
                self.predicted,
                labels=np.unique(self.labels),
                average="macro",
                zero_division=0,
            ),
        }

    @property
    def predicted(self):
        """The most probable class of each example."""
        return self.probabilities.argmax(axis=1)

    def details(self):
        """Scores of each class, the confusion matrix and the most confident
        errors, after `evaluate`.

        Returns:
            A dictionary: `classes`, one dictionary each of `class`,
            `precision`, `recall`, `f1` and `examples`; `confusion_matrix`, a
            row for each right class, a column for each predicted one;
            `most_confident_errors`, at most ten, the most confident first.
        """
        from sklearn import metrics

        labels = np.arange(len(self.class_names))
        columns = metrics.precision_recall_fscore_support(
            self.labels, self.predicted, labels=labels, zero_division=0
        )
        return {
            "classes": [
                {
                    "class": name,
                    "precision": float(precision),
                    "recall": float(recall),
                    "f1": float(f1),
                    "examples": int(count),
                }
                for name, precision, recall, f1, count in zip(
                    self.class_names, *columns
                )
            ],
            "confusion_matrix": metrics.confusion_matrix(
                self.labels, self.predicted, labels=labels
            ).tolist(),
            "most_confident_errors": [
                {
                    **self.examples.describe(row),
                    "class": self.class_names[self.labels[row]],
                    "predicted": self.class_names[self.predicted[row]],
                    "probability": float(self.probabilities[row].max()),
                }
                for row in self.most_confident_errors()
            ],
        }

    def most_confident_errors(self):
        """Numbers of the examples, the most confident error first."""
        wrong = np.flatnonzero(self.predicted != self.labels)
        confidence = self.probabilities[wrong].max(axis=1)
        return wrong[np.argsort(-confidence, kind="stable")][:_MOST_ERRORS]

    def draw(self, directory):
        """Draw the confusion matrix and the most confident errors, after
        `evaluate`.

        Args:
            directory: Folder for `confusion_matrix.png` and, of pictures
                with errors, `errors.png`.
        """
        details = self.details()
        drawings = {
            "confusion_matrix": confusion_matrix_png(
                details["confusion_matrix"], self.class_names
            )
        }
        errors = self.most_confident_errors()
        if self.pictures is not None and len(errors):
            captions = [
                f"{error['class']}\n-> {error['predicted']} "
                f"({error['probability']:.2f})"
                for error in details["most_confident_errors"]
            ]
            drawings["errors"] = contact_sheet(self.pictures(errors), captions)
        for name, png in drawings.items():
            write_atomically(
                directory / f"{name}.png",
                lambda path, png=png: path.write_bytes(png),
            )

    def write(self, path):
        """Write a row for each example, by tabs, after `evaluate`: what it
        is, its class, the predicted class and its probability."""
        write_tsv(
            path,
            [*self.examples.describe(0), "class", "label", "probability"],
            (
                (
                    *self.examples.describe(row).values(),
                    self.class_names[right],
                    self.class_names[found],
                    f"{self.probabilities[row, found]:.6f}",
                )
                for row, (right, found) in enumerate(
                    zip(self.labels, self.predicted)
                )
            ),
        )

import csv

import numpy as np
import pytest
import tensorflow as tf

from preprocessing.classification_batches import TextBatches
from training.classification import ClassificationEvaluator
from training.text_classification_task import Texts

# Right classes, and logarithms of probabilities times any factor.
LABELS = np.array([0, 0, 1, 1, 2])
PROBABILITIES = np.array(
    [
        [0.7, 0.2, 0.1],
        [0.1, 0.6, 0.3],  # wrong
        [0.2, 0.5, 0.3],
        [0.9, 0.05, 0.05],  # wrong, and more sure of it
        [0.25, 0.25, 0.5],
    ]
)
NAMES = ("a", "b", "c")


@pytest.fixture
def evaluator():
    tokens = tf.ragged.constant([[row + 4] for row in range(5)], tf.int32)
    logits = tf.constant(np.log(PROBABILITIES) + 3.0, tf.float32)

    def model(inputs, training):
        assert training is False
        return tf.gather(logits, tf.maximum(inputs["tokens"][:, 0] - 4, 0))

    return ClassificationEvaluator(
        model,
        TextBatches(tokens, LABELS, 3, 2),
        LABELS,
        NAMES,
        Texts(["t0", "t1", "t2", "t3", "t4"], LABELS),
    )


def test_scores(evaluator):
    scores = evaluator.evaluate()
    assert scores["accuracy"] == pytest.approx(3 / 5)
    right = [0.7, 0.1, 0.5, 0.05, 0.5]
    assert scores["loss"] == pytest.approx(-np.log(right).mean(), rel=1e-5)
    # F1 of a: precision 1/2, recall 1/2; of b: the same; of c: 1.
    assert scores["macro_f1"] == pytest.approx((0.5 + 0.5 + 1) / 3)
    np.testing.assert_allclose(
        evaluator.probabilities, PROBABILITIES, atol=1e-6
    )


def test_details(evaluator):
    evaluator.evaluate()
    details = evaluator.details()
    assert details["confusion_matrix"] == [[1, 1, 0], [1, 1, 0], [0, 0, 1]]
    assert details["classes"][0] == {
        "class": "a",
        "precision": 0.5,
        "recall": 0.5,
        "f1": 0.5,
        "examples": 2,
    }
    errors = details["most_confident_errors"]
    assert [error["text"] for error in errors] == ["t3", "t1"]
    assert errors[0]["class"] == "b" and errors[0]["predicted"] == "a"
    assert errors[0]["probability"] == pytest.approx(0.9, rel=1e-5)


def test_a_class_without_examples_does_not_count(evaluator):
    evaluator.labels = np.array([0, 0, 1, 1, 1])
    # c is never right, but no example is of it: F1 of b is 2/5.
    assert evaluator.evaluate()["macro_f1"] == pytest.approx((0.5 + 0.4) / 2)
    assert evaluator.details()["classes"][2]["examples"] == 0


def test_answers_are_written(evaluator, tmp_path):
    evaluator.evaluate()
    evaluator.write(tmp_path / "answers.tsv")
    with open(tmp_path / "answers.tsv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert rows[1] == {
        "text": "t1",
        "class": "a",
        "label": "b",
        "probability": "0.600000",
    }
    assert len(rows) == 5

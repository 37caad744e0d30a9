"""200 sentences, alone, in batches and beside long ones: the same answers."""

import pathlib

import numpy as np
import pytest
import tensorflow as tf

import datasets

_MODELS = pathlib.Path(__file__).parents[2] / "saved_models"
_RECURRENT = "bahdanau_translator_tiny_phrases/2"
_TRANSFORMER = "transformer_translator_tiny_phrases/1"
_COUNT = 200
_OUTPUTS = {
    "serving_default": ("translation", "score"),
    "beam": ("translations", "log_probabilities"),
}


@pytest.fixture(scope="module")
def sentences():
    test = datasets.load("phrases", num_train=1000, num_test=_COUNT).splits
    return [pair["source"] for pair in test["test"].as_numpy_iterator()]


def answers(signature, rows, names):
    texts, scores = (signature(text=tf.constant(rows))[name] for name in names)
    return texts.numpy().tolist(), scores.numpy()


@pytest.mark.parametrize(
    ("model", "signature"),
    [
        (_RECURRENT, "serving_default"),
        pytest.param(_RECURRENT, "beam", marks=pytest.mark.long),
        pytest.param(_TRANSFORMER, "serving_default", marks=pytest.mark.long),
        (_TRANSFORMER, "beam"),
    ],
)
def test_batch_mates_change_nothing(model, signature, sentences, long_form):
    loaded = tf.saved_model.load(str(_MODELS / model))
    names = _OUTPUTS[signature]

    def ask(rows):
        return answers(loaded.signatures[signature], rows, names)

    texts, scores = ask(sentences)
    assert len(texts) == _COUNT and all(np.ravel(texts).tolist())
    order = np.random.default_rng(0).permutation(_COUNT)
    long = b"Wednesday, August 26, 1953 " * 4
    alone = order[:, None] if long_form else order[:10, None]
    together = np.split(order, 10)[:: 1 if long_form else 3]
    for batch in [*together, *alone]:
        own = [sentences[row] for row in batch]
        for rows in (own, [long, *own]) if len(batch) > 1 else (own,):
            found, their_scores = ask(rows)
            found = found[-len(batch) :]
            assert found == [texts[row] for row in batch]
            np.testing.assert_allclose(
                their_scores[-len(batch) :], scores[batch], rtol=1e-4, atol=1e-6
            )

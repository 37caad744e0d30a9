"""The models that come with the repository."""

import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf
from sklearn.datasets import load_digits
from sklearn.model_selection import StratifiedKFold

import serving
import zoo
from serving.check_saved_model import xla_ops

_MODELS = pathlib.Path(__file__).parents[2] / "saved_models"
_TRANSLATORS = [
    "bahdanau_translator_tiny_phrases/2",
    "transformer_translator_tiny_phrases/1",
]
_CLASSIFIERS = [
    "transformer_classifier_tiny_language_id/1",
    "vision_transformer_tiny_digits/1",
]
_SHIPPED = ["bahdanau_translator_tiny_phrases/1", *_TRANSLATORS, *_CLASSIFIERS]
_SENTENCES = ["in 3 weeks", "Thursday, October 24, 2047", "$1,234.50"]
_TRANSLATIONS = ["dans 3 semaines", "jeudi 24 octobre 2047", "1 234,50 $US"]


@pytest.mark.parametrize("name", _SHIPPED)
def test_the_card_is_whole(name):
    card = json.loads((_MODELS / name / "model_card.json").read_text("utf-8"))
    assert card["preset"] in zoo.list_presets()
    assert card["command"].startswith("python train.py")
    assert card["data"]["licence"]
    # A reported number says how many test runs its model had.
    assert len(card["metrics"]["test_runs"]) == 1
    assert set(card["signatures"]) >= {"serving_default", "explain"}
    assert xla_ops(_MODELS / name) == []
    requests = _MODELS / name / "assets.extra" / "tf_serving_warmup_requests"
    assert requests.stat().st_size > 0


@pytest.mark.parametrize(
    "name", ["bahdanau_translator_tiny_phrases/1", *_TRANSLATORS]
)
def test_phrases_are_translated_with_their_alignment(name):
    translator = serving.load(_MODELS / name)
    card = json.loads((_MODELS / name / "model_card.json").read_text("utf-8"))
    answers = translator.explain(_SENTENCES)
    assert [answer.text for answer in answers] == _TRANSLATIONS
    date = answers[1]
    np.testing.assert_allclose(date.attention.sum(axis=-1), 1.0, atol=1e-5)
    layer, head = _alignment_head(card)
    strongest = [
        date.source_tokens[i] for i in date.attention[layer, head].argmax(-1)
    ]
    looked_at = dict(zip(date.tokens, strongest))
    assert looked_at["▁jeudi"] == "▁Thursday"
    assert looked_at["▁octobre"] == "▁October"


def _alignment_head(card):
    """The head that is nearest to the alignment, on validation pairs."""
    metrics = card["metrics"]["validation"]
    if "alignment_head" not in metrics:
        return 0, 0
    layer, head = metrics["alignment_head"].split()
    return card["attention_layers"]["attention"].index(layer), int(head)


@pytest.mark.parametrize("name", _TRANSLATORS)
def test_beam_gives_the_translation_and_others(name):
    model = tf.saved_model.load(str(_MODELS / name))
    answer = model.signatures["beam"](text=tf.constant(_SENTENCES))
    found = np.char.decode(answer["translations"].numpy().astype("S"), "utf-8")
    assert found[:, 0].tolist() == _TRANSLATIONS
    assert all(len(set(row)) == len(row) == 5 for row in found.tolist())
    scores = answer["scores"].numpy()
    assert (np.diff(scores, axis=1) <= 0).all()


def test_languages_are_told():
    classifier = serving.load(_MODELS / _CLASSIFIERS[0])
    texts = {
        "Thursday, October 24, 2047": "en",
        "jeudi 24 octobre 2047": "fr",
        "Donnerstag, 24. Oktober 2047": "de",
        "2047年10月24日木曜日": "ja",
    }
    answers = classifier.explain(list(texts))
    assert [answer.label for answer in answers] == list(texts.values())
    for answer in answers:
        assert answer.probabilities[answer.label] == answer.probability > 0.9
        sums = answer.attention.sum(axis=-1)
        np.testing.assert_allclose(sums, 1.0, atol=1e-5)
        assert answer.token_weights.sum() == pytest.approx(1.0, abs=1e-5)


def test_digits_are_read():
    bunch = load_digits()
    # Those that it was not fitted on, in folds of a seed: the test split.
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    _, rows = next(iter(folds.split(bunch.images, bunch.target)))
    pixels = np.round(bunch.images[rows] * (255 / 16)).astype("uint8")
    classifier = serving.load(_MODELS / _CLASSIFIERS[1])
    labels = [int(label) for label in classifier.classify(list(pixels))]
    accuracy = np.mean(labels == bunch.target[rows])
    card = json.loads(
        (_MODELS / _CLASSIFIERS[1] / "model_card.json").read_text("utf-8")
    )
    (test_run,) = card["metrics"]["test_runs"]
    assert accuracy == pytest.approx(test_run["accuracy"], abs=1e-9)
    (answer,) = classifier.explain([pixels[0]])
    assert answer.rollout.shape == (4, 4)
    assert answer.rollout.sum() == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("name", _CLASSIFIERS)
def test_accuracies_are_what_the_readme_promises(name):
    card = json.loads((_MODELS / name / "model_card.json").read_text("utf-8"))
    assert card["metrics"]["test_runs"][0]["accuracy"] >= 0.98


@pytest.mark.parametrize("name", _TRANSLATORS)
def test_its_scores_are_what_the_readme_promises(name):
    card = json.loads((_MODELS / name / "model_card.json").read_text("utf-8"))
    assert card["metrics"]["validation"]["exact_match"] >= 0.98
    assert card["metrics"]["test_runs"][0]["exact_match"] >= 0.98
    assert card["metrics"]["test_runs"][0]["alignment_error_rate"] <= 0.15

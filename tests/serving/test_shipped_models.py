"""The models that come with the repository."""

import json
import pathlib

import numpy as np
import pytest

import serving
import zoo
from serving.check_saved_model import xla_ops

_MODELS = pathlib.Path(__file__).parents[2] / "saved_models"
_SHIPPED = ["bahdanau_translator_tiny_phrases/1"]


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


def test_phrases_are_translated_with_their_alignment():
    translator = serving.load(_MODELS / _SHIPPED[0])
    answers = translator.explain(
        ["in 3 weeks", "Thursday, October 24, 2047", "$1,234.50"]
    )
    assert [answer.text for answer in answers] == [
        "dans 3 semaines",
        "jeudi 24 octobre 2047",
        "1 234,50 $US",
    ]
    date = answers[1]
    scores = date.attention[0, 0]
    np.testing.assert_allclose(scores.sum(axis=-1), 1.0, atol=1e-5)
    strongest = [date.source_tokens[i] for i in scores.argmax(axis=-1)]
    looked_at = dict(zip(date.tokens, strongest))
    assert looked_at["▁jeudi"] == "▁Thursday"
    assert looked_at["▁octobre"] == "▁October"


def test_its_scores_are_what_the_readme_promises():
    card = json.loads(
        (_MODELS / _SHIPPED[0] / "model_card.json").read_text("utf-8")
    )
    assert card["metrics"]["validation"]["exact_match"] >= 0.98
    assert card["metrics"]["test_runs"][0]["exact_match"] >= 0.98
    assert card["metrics"]["test_runs"][0]["alignment_error_rate"] <= 0.15

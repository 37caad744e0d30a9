"""Scores of a fitted translator, against the same sentences one by one."""

import numpy as np
import pytest
import tensorflow as tf

import datasets
import serving
from preprocessing.special_tokens import START_ID
from training.evaluation import by_source_length
from training.evaluation import TranslationEvaluator
from training.metrics import exact_match
from training.run import Run
from training.translation import Pairs
from training.translation import read_pairs


@pytest.fixture(scope="module")
def pairs():
    loaded = datasets.load(
        "phrases", num_train=250, num_validation=24, num_test=24
    )
    return read_pairs(loaded.splits["validation"])


@pytest.fixture(scope="module")
def fitted(tiny_run):
    run = Run.find(tiny_run)
    return run.load_model(), run.load_preprocessor()


@pytest.fixture(scope="module")
def evaluator(fitted, pairs):
    # A budget that needs several batches of each length.
    return TranslationEvaluator(*fitted, pairs, "fr", tokens_per_batch=64)


@pytest.fixture(scope="module")
def scores(evaluator):
    return evaluator.evaluate()


def test_the_scores_are_those_of_the_best_epoch(scores, tiny_run):
    validation = Run(tiny_run).metrics["validation"]
    for name in ("loss", "token_accuracy", "bleu", "alignment_error_rate"):
        assert scores[name] == pytest.approx(validation[name], rel=1e-4)


def test_loss_and_accuracy_are_averages_over_all_tokens(fitted, pairs, scores):
    model, preprocessor = fitted
    losses, right = [], []
    for source, target in zip(pairs.sources, pairs.targets):
        source = preprocessor.encode_source(tf.constant([source])).to_tensor()
        ids = preprocessor.encode_target(tf.constant([target])).to_tensor()
        inputs = tf.concat([[[START_ID]], ids[:, :-1]], axis=1)
        logits = model({"source": source, "target": inputs}).numpy()[0]
        logits, ids = logits.astype("float64"), ids.numpy()[0]
        chosen = logits[np.arange(len(logits)), ids]
        losses += (np.log(np.exp(logits).sum(-1)) - chosen).tolist()
        right += (logits.argmax(-1) == ids).tolist()
    assert scores["loss"] == pytest.approx(np.mean(losses), rel=1e-5)
    assert scores["token_accuracy"] == pytest.approx(np.mean(right))


def test_translations_are_in_order_and_those_of_serving(
    evaluator, scores, pairs, tiny_run
):
    texts, log_probabilities = evaluator.translations
    answers = serving.load(tiny_run).explain(pairs.sources)
    assert texts == [answer.text for answer in answers]
    np.testing.assert_allclose(
        log_probabilities, [answer.score for answer in answers], rtol=1e-4
    )
    assert scores["exact_match"] == exact_match(texts, pairs.targets)


def test_sentences_that_are_cut_have_scores_too(fitted, pairs):
    model, preprocessor = fitted
    limit = preprocessor.max_sequence_length
    preprocessor.max_sequence_length = 5
    try:
        scores = TranslationEvaluator(model, preprocessor, pairs).evaluate()
    finally:
        preprocessor.max_sequence_length = limit
    assert np.isfinite(scores["loss"])
    assert 0 <= scores["alignment_error_rate"] <= 1


def test_without_gold_there_is_no_error_rate(fitted, pairs):
    plain = Pairs(pairs.sources[:3], pairs.targets[:3])
    scores = TranslationEvaluator(*fitted, plain, "fr").evaluate()
    assert "alignment_error_rate" not in scores
    assert "exact_match_novel" not in scores
    assert "bleu_tokenized" not in scores


def test_bins_of_source_length():
    lengths = [1, 2, 3, 4, 5, 6, 7, 8]
    targets = ["a b c d e"] * 8
    pairs = Pairs([" ".join("x" * n) for n in lengths], targets)
    answers = [*targets[:6], "v w x y z", "v w x y z"]
    bins = by_source_length(pairs, answers, "en")
    assert [row["words"] for row in bins] == [[1, 2], [3, 4], [5, 6], [7, 8]]
    assert [row["sentences"] for row in bins] == [2] * 4
    scores = [row["bleu_tokenized"] for row in bins]
    assert scores[:3] == pytest.approx([100] * 3)
    assert scores[3] == 0


@pytest.mark.parametrize("count", [1, 2, 6])
def test_sentences_of_one_length_are_one_bin(count):
    pairs = Pairs(["日本"] * count, ["a b c d"] * count)
    bins = by_source_length(pairs, pairs.targets, "en")
    assert sum(row["sentences"] for row in bins) == count
    assert [row["words"] for row in bins] == [[1, 1]]

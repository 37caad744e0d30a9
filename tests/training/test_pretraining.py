import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from preprocessing.classification_batches import TextBatches
from training.pretraining import HiddenTokenEvaluator
from training.pretraining import pretrain
from training.pretraining import TokenHider
from training.recipe import TextClassificationRecipe
from zoo import create_model
from zoo.masked_language_model import MaskedLanguageModel

SPECIAL = (0, 1, 2, 3)


@pytest.fixture
def classifier():
    keras.utils.set_random_seed(0)
    model = create_model(
        "transformer_classifier_tiny",
        vocabulary_size=12,
        num_classes=2,
        max_sequence_length=16,
        hidden_dim=8,
        num_heads=2,
        num_layers=1,
        intermediate_dim=8,
        # Too much to learn anything: pretraining has its own.
        dropout=0.95,
    )
    model({"tokens": np.zeros((1, 2), np.int32)})
    return model


@pytest.fixture
def hider(classifier):
    model = MaskedLanguageModel(classifier)
    model.build()
    return TokenHider(model, 1, SPECIAL, 0.25)


def _hide(hider, tokens, chosen, fate, instead):
    draws = np.array([chosen, fate, instead], np.float32)
    hidden, targets, weights = hider.hide(tf.constant(tokens), draws)
    return (
        hidden["tokens"].numpy().tolist(),
        hidden["positions"].numpy().tolist(),
        targets.numpy().tolist(),
        weights.numpy().tolist(),
    )


def test_what_becomes_of_the_chosen(hider):
    # START, five tokens, END; a quarter of 8 positions are 2, of five
    # tokens 1.25, so 1.
    tokens = [[2, 4, 5, 6, 7, 8, 3, 0]]
    chosen = [[0.9, 0.1, 0.8, 0.2, 0.7, 0.3, 0.99, 0.95]]
    for fate, expected in ((0.5, 1), (0.15, 5), (0.05, 9)):
        hidden, positions, targets, weights = _hide(
            hider, tokens, chosen, [[fate] * 8], [[0.75] * 8]
        )
        # 1 + 0.75 * 11 = 9.25
        assert hidden == [[2, 4, expected, 6, 7, 8, 3, 0]]
        assert positions == [[2, 4]]
        assert targets == [[5, 7]]
        assert weights == [[1.0, 0.0]]


def test_one_token_at_least_and_never_a_special_one(hider):
    tokens = [[2, 4, 3, 0], [2, 3, 0, 0]]
    chosen = [[0.9, 0.1, 0.8, 0.95], [0.9, 0.8, 0.7, 0.6]]
    half = [[0.5] * 4] * 2
    hidden, _, targets, weights = _hide(hider, tokens, chosen, half, half)
    assert hidden == [[2, 1, 3, 0], [2, 3, 0, 0]]
    assert targets[0] == [4]
    assert weights == [[1.0], [0.0]]


def test_a_row_that_fills_up_a_part_does_not_count(classifier):
    settings = {**classifier.get_config(), "dropout": 0.0}
    model = MaskedLanguageModel(type(classifier).from_config(settings))
    model.build()
    hider = TokenHider(model, 1, SPECIAL, 0.25)
    hider.compile(
        keras.optimizers.SGD(0.0),
        keras.losses.SparseCategoricalCrossentropy(
            from_logits=True, reduction="mean_with_sample_weight"
        ),
    )
    rows = [[2, 4, 5, 6, 7, 8, 3, 0], [2, 9, 10, 11, 9, 10, 3, 0]]

    def loss(tokens, weights):
        hider.generator.state.assign([0, 0])
        hider.reset_metrics()
        tokens = tf.constant(tokens)
        found = hider.train_step(
            ({"tokens": tokens}, tf.zeros(len(rows)), tf.constant(weights))
        )
        return float(found["loss"])

    both, first, second = (
        loss(rows, weights) for weights in ([2.0, 0.5], [0.1, 0.0], [0.0, 3.0])
    )
    assert first != pytest.approx(second)
    # As many tokens are hidden in both, and class weights do not matter.
    assert both == pytest.approx((first + second) / 2, rel=1e-5)


def _batches(count=24):
    # 4 is followed by 5, and 6 by 7: what is hidden can be found.
    pairs = ([4, 5] * 3, [6, 7] * 3)
    rows = [[2, *pairs[number % 2], 3] for number in range(count)]
    return TextBatches(tf.ragged.constant(rows, tf.int32), [0] * count, 2, 8)


def test_the_same_tokens_are_hidden_in_each_evaluation(hider):
    evaluator = HiddenTokenEvaluator(hider, _batches())
    first = evaluator.evaluate()
    assert first == evaluator.evaluate()
    # Weights of chance: about the logarithm of the vocabulary.
    assert first["loss"] == pytest.approx(np.log(12), abs=0.7)


PREPROCESSOR = types.SimpleNamespace(
    tokenizer=types.SimpleNamespace(mask_id=1, special_ids=SPECIAL)
)


def test_what_is_hidden_is_found(classifier, tmp_path):
    recipe = TextClassificationRecipe(
        pretrain="mlm",
        pretrain_epochs=60,
        pretrain_dropout=0.0,
        pretrain_learning_rate=0.02,
        warmup_steps=5,
        jit=False,
    )
    head = np.array(classifier.head.kernel.numpy())
    embeddings = np.array(classifier.token_embedding.embeddings.numpy())
    history = pretrain(
        classifier, recipe, PREPROCESSOR, _batches(), _batches(), tmp_path
    )
    assert len(history) == 60
    best = min(scores["loss"] for scores in history)
    assert best < 0.9 * np.log(4) and history[0]["loss"] > 2.0
    # The classifier has learned; its head, which took no part, has not.
    np.testing.assert_array_equal(classifier.head.kernel.numpy(), head)
    assert (
        np.abs(classifier.token_embedding.embeddings.numpy() - embeddings).max()
        > 0.01
    )


def test_an_interrupted_pretraining_goes_on(classifier, tmp_path, monkeypatch):
    recipe = TextClassificationRecipe(
        pretrain="mlm", pretrain_epochs=3, warmup_steps=1, jit=False
    )
    weights = classifier.get_weights()
    keras.utils.set_random_seed(1)
    arguments = (recipe, PREPROCESSOR, _batches(), _batches())
    whole = pretrain(classifier, *arguments, tmp_path / "whole")
    expected = classifier.get_weights()

    classifier.set_weights(weights)
    calls = []
    real = HiddenTokenEvaluator.evaluate

    def killed(self):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(self)

    monkeypatch.setattr(HiddenTokenEvaluator, "evaluate", killed)
    keras.utils.set_random_seed(1)
    with pytest.raises(KeyboardInterrupt):
        pretrain(classifier, *arguments, tmp_path / "killed")
    classifier.set_weights(weights)
    history = pretrain(classifier, *arguments, tmp_path / "killed")
    assert [row["loss"] for row in history] == [row["loss"] for row in whole]
    for left, right in zip(classifier.get_weights(), expected):
        np.testing.assert_array_equal(left, right)

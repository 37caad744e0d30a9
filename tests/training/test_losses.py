import keras
import numpy as np
import pytest
import tensorflow as tf

from training.losses import GuidedAlignmentLoss
from training.losses import TokenCrossEntropy


def _numbers(seed=0):
    generator = np.random.default_rng(seed)
    logits = generator.normal(size=(3, 5, 7)).astype("float32")
    tokens = generator.integers(0, 7, (3, 5)).astype("int32")
    weights = np.array(
        [[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [0, 0, 0, 0, 0]], "float32"
    )
    return logits, tokens, weights


def _expected(logits, tokens, smoothing):
    """The losses from the definition: a smoothed target distribution."""
    logits = logits.astype("float64")
    probabilities = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    wanted = np.eye(7)[tokens] * (1 - smoothing) + smoothing / 7
    return -(wanted * np.log(probabilities)).sum(-1)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.9])
def test_cross_entropy_from_its_definition(smoothing):
    logits, tokens, weights = _numbers()
    losses = _expected(logits, tokens, smoothing)
    loss = TokenCrossEntropy(label_smoothing=smoothing)
    np.testing.assert_allclose(
        loss(tokens, logits, sample_weight=weights),
        (losses * weights).sum() / 7,  # 7 real tokens of 15
        rtol=1e-5,
    )
    np.testing.assert_allclose(loss(tokens, logits), losses.mean(), rtol=1e-5)


def test_cross_entropy_by_hand():
    # Probabilities 1/4 and 3/4; the second token is the right one.
    logits = np.log([[[1.0, 3.0]]])
    loss = TokenCrossEntropy()([[1]], logits)
    np.testing.assert_allclose(loss, np.log(4 / 3), rtol=1e-6)


def test_cross_entropy_without_real_tokens_is_zero():
    logits, tokens, weights = _numbers()
    assert TokenCrossEntropy()(tokens, logits, sample_weight=0 * weights) == 0


def test_cross_entropy_of_large_logits_is_finite():
    loss = TokenCrossEntropy(label_smoothing=0.1)
    assert np.isfinite(loss([[1]], [[[1e4, -1e4]]]))


def test_cross_entropy_of_large_vocabularies_finds_its_token():
    logits = np.zeros((1, 1, 40_000), "float32")
    logits[0, 0, 39_999] = 20
    assert TokenCrossEntropy()(np.array([[39_999]]), logits) < 1e-3


def test_cross_entropy_of_half_precision_is_computed_in_float32():
    logits, tokens, weights = _numbers()
    loss = TokenCrossEntropy()
    half = tf.cast(logits, tf.bfloat16)
    np.testing.assert_allclose(
        loss(tokens, half, sample_weight=weights),
        loss(tokens, tf.cast(half, tf.float32), sample_weight=weights),
        rtol=1e-6,
    )


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_gradient_is_probability_less_target(smoothing):
    logits, tokens, weights = _numbers()
    variable = tf.constant(logits)
    with tf.GradientTape() as tape:
        tape.watch(variable)
        loss = TokenCrossEntropy(smoothing)(
            tokens, variable, sample_weight=weights
        )
    probabilities = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    wanted = np.eye(7)[tokens] * (1 - smoothing) + smoothing / 7
    np.testing.assert_allclose(
        tape.gradient(loss, variable),
        (probabilities - wanted) * weights[..., None] / 7,
        atol=1e-6,
    )


def test_guided_alignment_by_hand():
    alignment = np.array([[[[0.5, 0.5, 0], [0, 0, 1], [0, 0, 0]]]], "float32")
    scores = np.array(
        [[[[0.25, 0.5, 0.25], [0.2, 0.3, 0.5], [1, 0, 0]]]], "float32"
    )
    weights = np.array([[[1, 1, 0]]], "float32")
    first = -0.5 * np.log(0.25) - 0.5 * np.log(0.5)
    second = -np.log(0.5)
    np.testing.assert_allclose(
        GuidedAlignmentLoss()(alignment, scores, sample_weight=weights),
        (first + second) / 2,
        rtol=1e-5,
    )


def test_guided_alignment_of_no_weight_is_large_but_finite():
    loss = GuidedAlignmentLoss()(
        np.array([[[[1.0, 0.0]]]]), np.array([[[[0.0, 1.0]]]])
    )
    assert 20 < loss < 21  # -log(1e-9)


def test_guided_alignment_gradient_is_finite():
    scores = tf.constant([[[[0.0, 1.0]]]])
    with tf.GradientTape() as tape:
        tape.watch(scores)
        loss = GuidedAlignmentLoss()(tf.constant([[[[1.0, 0.0]]]]), scores)
    assert np.isfinite(tape.gradient(loss, scores).numpy()).all()


@pytest.mark.parametrize(
    "loss", [TokenCrossEntropy(label_smoothing=0.2), GuidedAlignmentLoss()]
)
def test_saved_and_loaded_is_the_same(loss):
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert type(again) is type(loss)
    assert again.get_config() == loss.get_config()

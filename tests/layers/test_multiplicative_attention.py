import numpy as np
import pytest

from layers import DotProductAttention
from layers.multiplicative_attention import MultiplicativeAttention
from tests.layers.running import assert_allclose
from tests.layers.running import assert_array_equal
from tests.layers.running import weighted_sum

# B 2, T 3, S 5, query 7, value 11, key 13.
DRAW = np.random.default_rng(0).normal
QUERY, VALUE = DRAW(size=(2, 3, 7)), DRAW(size=(2, 5, 11))
KEY, DOT_KEY = DRAW(size=(2, 5, 13)), DRAW(size=(2, 5, 7))
KERNEL = 0.3 * DRAW(size=(7, 13))
MASK = np.array([[1, 1, 0, 1, 1], [1, 0, 1, 1, 0]], bool)


def made(score_mode, **options):
    layer = MultiplicativeAttention(score_mode=score_mode, **options)
    layer.build(QUERY.shape, VALUE.shape, keys(score_mode).shape)
    layer.set_weights([KERNEL] if score_mode == "general" else [])
    return layer


def keys(score_mode):
    return KEY if score_mode == "general" else DOT_KEY


@pytest.mark.check("equation")
def test_general_by_hand():
    # With log 2 in the exponent all is a power of two. W swaps the features.
    layer = MultiplicativeAttention()
    query = np.array([[[1.0, 0.0], [0.0, 1.0]]], "float32")
    key = np.array([[[3.0, 1.0], [0.0, 2.0]]], "float32")
    value = np.array([[[1.0], [5.0]]], "float32")
    layer.build(query.shape, value.shape, key.shape)
    layer.set_weights([np.log(2) * np.array([[0, 1], [1, 0]])])
    context, scores = layer(query, value, key, return_attention_scores=True)
    # The first query reads the second feature: 2^1 and 2^2.
    assert_allclose(scores[0, 0], [[2 / 6, 4 / 6], [8 / 9, 1 / 9]], rtol=1e-5)
    assert_allclose(context[0], [[22 / 6], [13 / 9]], rtol=1e-5)


@pytest.mark.check("equation")
@pytest.mark.parametrize("score_mode", ["general", "dot"])
def test_equals_the_paper(score_mode):
    key = keys(score_mode)
    kernel = KERNEL if score_mode == "general" else np.eye(7)
    weights, expected = np.zeros((2, 3, 5)), np.zeros((2, 3, 11))
    for b, t in np.ndindex(2, 3):
        logits = np.zeros(5)
        for s in range(5):
            for i, j in np.ndindex(kernel.shape):
                logits[s] += QUERY[b, t, i] * kernel[i, j] * key[b, s, j]
        weights[b, t] = np.exp(logits) / np.exp(logits).sum()
        expected[b, t] = weights[b, t] @ VALUE[b]
    context, scores = made(score_mode, dtype="float64")(
        QUERY, VALUE, key, return_attention_scores=True
    )
    assert_allclose(scores[:, 0], weights, atol=1e-12)
    assert_allclose(context, expected, atol=1e-12)


@pytest.mark.check("equation")
def test_dot_is_the_dot_product_without_scale():
    assert_array_equal(
        made("dot")(QUERY, VALUE, DOT_KEY),
        DotProductAttention(scale=False)(QUERY, VALUE, DOT_KEY),
    )


def test_keys_are_mapped_once():
    memory = made("general").project(VALUE.astype("f4"), KEY.astype("f4"))
    expected = np.einsum("bsj,ij->bsi", KEY, KERNEL)
    assert_allclose(memory["key"], expected, atol=1e-5)


def test_weights():
    layer = made("general")
    assert [(weight.name, weight.shape) for weight in layer.weights] == [
        ("kernel", (7, 13))
    ]
    assert made("dot").weights == []


@pytest.mark.check("masks")
def test_window():
    # Three queries at positions 2, 3 and 4 of five keys.
    _, scores = made("general", window_size=1)(
        QUERY, VALUE, KEY, return_attention_scores=True
    )
    assert_array_equal(
        scores[1, 0] > 0,
        np.array([[0, 1, 1, 1, 0], [0, 0, 1, 1, 1], [0, 0, 0, 1, 1]], bool),
    )


def loss_of(layer):
    direction = np.random.default_rng(5).normal(size=(2, 3, 11))

    def loss():
        context = layer(QUERY, VALUE, KEY, value_mask=MASK)
        return weighted_sum(context, direction)

    return loss


@pytest.mark.check("saved")
def test_config():
    given = {"score_mode": "dot", "window_size": 3, "blockwise": False}
    config = MultiplicativeAttention(**given).get_config()
    assert {name: config[name] for name in given} == given
    assert MultiplicativeAttention.from_config(config).get_config() == config


@pytest.mark.check("bad input")
def test_bad_input():
    with pytest.raises(ValueError, match="Received: score_mode='concat'"):
        MultiplicativeAttention(score_mode="concat")
    with pytest.raises(ValueError, match=r"query\.shape=\(2, 3, 7\), key"):
        MultiplicativeAttention(score_mode="dot")(QUERY, VALUE, KEY)

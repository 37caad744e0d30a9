import numpy as np
import pytest

from layers import AdditiveAttention
from layers.concat_attention import ConcatAttention
from tests.layers.running import array
from tests.layers.running import assert_allclose

# B 2, T 3, S 5, query 7, value 11, key 13, units 17.
DRAW = np.random.default_rng(0).normal
QUERY, VALUE = DRAW(size=(2, 3, 7)), DRAW(size=(2, 5, 11))
KEY = DRAW(size=(2, 5, 13))
KERNEL, BIAS = 0.3 * DRAW(size=(20, 17)), DRAW(size=17)
MASK = np.array([[1, 1, 0, 1, 1], [1, 0, 1, 1, 0]], bool)


def softmax(logits):
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def made(use_bias=True, **options):
    layer = ConcatAttention(units=17, use_bias=use_bias, **options)
    layer.build(QUERY.shape, VALUE.shape, KEY.shape)
    layer.set_weights([KERNEL, BIAS] if use_bias else [KERNEL])
    return layer


@pytest.mark.check("equation")
def test_by_hand():
    # tanh(log 3 / 2) = 1/2 and tanh(log 3) = 4/5. Two units: one adds query
    # and key, the other reads neither, and its bias makes it 1/2.
    half = np.log(3) / 2
    query = np.array([[[half]]], "float32")
    key = np.array([[[0.0], [half], [-half]]], "float32")
    value = np.array([[[1.0], [2.0], [4.0]]], "float32")
    layer = ConcatAttention(units=2)
    layer.build(query.shape, value.shape, key.shape)
    layer.set_weights([np.array([[1, 0], [1, 0]]), np.array([0, half])])
    context, scores = layer(query, value, key, return_attention_scores=True)
    expected = softmax(np.array([0.5 + 0.5, 0.8 + 0.5, 0.0 + 0.5]))
    assert_allclose(scores[0, 0, 0], expected, rtol=1e-5)
    assert_allclose(context[0, 0, 0], expected @ [1, 2, 4], rtol=1e-5)


@pytest.mark.check("equation")
@pytest.mark.parametrize("use_bias", [False, True])
def test_equals_the_rule(use_bias):
    """softmax(sum(tanh(Linear([q; k])))) v, one joined pair at a time."""
    logits, expected = np.zeros((2, 3, 5)), np.zeros((2, 3, 11))
    for b, t, s in np.ndindex(logits.shape):
        joined = np.concatenate([QUERY[b, t], KEY[b, s]])
        logits[b, t, s] = np.tanh(joined @ KERNEL + use_bias * BIAS).sum()
    weights = softmax(logits)
    for b, t, s in np.ndindex(logits.shape):
        expected[b, t] += weights[b, t, s] * VALUE[b, s]
    context, scores = made(use_bias, dtype="float64")(
        QUERY, VALUE, KEY, return_attention_scores=True
    )
    assert_allclose(scores[:, 0], weights, atol=1e-12)
    assert_allclose(context, expected, atol=1e-12)


@pytest.mark.check("equation")
def test_is_additive_attention_with_a_score_of_ones():
    additive = AdditiveAttention(units=17, use_bias=True)
    additive.build(QUERY.shape, VALUE.shape, KEY.shape)
    additive.set_weights([KERNEL[:7], KERNEL[7:], np.ones((17, 1)), BIAS])
    assert_allclose(
        made()(QUERY, VALUE, KEY), additive(QUERY, VALUE, KEY), atol=1e-6
    )


@pytest.mark.check("equation")
def test_without_tanh_the_query_would_not_matter():
    joined = np.concatenate(
        [
            np.broadcast_to(QUERY[:, :, None], (2, 3, 5, 7)),
            np.broadcast_to(KEY[:, None], (2, 3, 5, 13)),
        ],
        axis=-1,
    )
    features = joined @ KERNEL + BIAS
    linear, bent = softmax(features.sum(-1)), softmax(np.tanh(features).sum(-1))
    # The query adds one number to all keys of its row, which cancels: only
    # the rows of W that read the key are left.
    assert_allclose(
        linear,
        np.broadcast_to(softmax(KEY @ KERNEL[7:].sum(-1))[:, None], (2, 3, 5)),
        atol=1e-12,
    )
    assert np.abs(bent - bent[:, :1]).max() > 0.1
    assert_allclose(
        bent,
        made(dtype="float64")(QUERY, VALUE, KEY, return_attention_scores=True)[
            1
        ][:, 0],
        atol=1e-12,
    )


def test_scores_stay_in_range():
    # 17 features of at most 1: no key is favoured by more than e^34.
    _, scores = made(dtype="float64")(
        1e3 * QUERY, VALUE, 1e3 * KEY, return_attention_scores=True
    )
    scores = array(scores)
    ratio = scores.max(axis=-1) / scores.min(axis=-1)
    assert np.all(ratio <= np.exp(34) * 1.001)
    assert ratio.max() > np.exp(10)


def test_weights():
    layer = made()
    assert [(weight.name, weight.shape) for weight in layer.weights] == [
        ("kernel", (20, 17)),
        ("bias", (17,)),
    ]
    assert [weight.name for weight in made(False).weights] == ["kernel"]


@pytest.mark.check("saved")
def test_config():
    given = {"units": 17, "use_bias": False, "blockwise": True}
    config = ConcatAttention(**given).get_config()
    assert {name: config[name] for name in given} == given
    assert ConcatAttention.from_config(config).get_config() == config


@pytest.mark.check("bad input")
def test_bad_input():
    with pytest.raises(ValueError, match="Received: units=0"):
        ConcatAttention(units=0)

import numpy as np
import pytest

from layers import DotProductAttention
from tests.layers.running import assert_allclose
from tests.layers.running import assert_array_equal

# The worked example of self-attention: Q = X W_q, K = X W_k, V = X W_v.
SAMPLES = np.array([[1, 2, 3, 4, 5], [2, 3, 4, 5, 6], [0, 0, 0, 0, 0]])
QUERY_KERNEL = [[0, 1, 0], [1, 0, 3], [3, 6, 0], [1, 4, 5], [1, 3, 0]]
KEY_KERNEL = [[1, 1, 0], [6, 6, 3], [3, 0, 0], [0, 1, 0], [1, 1, 1]]
VALUE_KERNEL = [[0, 1, 0], [0, 0, 3], [0, 1, 0], [0, 4, 0], [0, 3, 1]]
QUERY = np.array([[[20, 50, 26], [26, 64, 34], [0, 0, 0]]], "float32")
KEY = np.array([[[27, 22, 11], [38, 31, 15], [0, 0, 0]]], "float32")
VALUE = np.array([[[0, 35, 11], [0, 44, 15], [0, 0, 0]]], "float32")
CONTEXT = [[0, 44, 15], [0, 44, 15], [0, 79 / 3, 26 / 3]]


@pytest.mark.check("equation")
def test_worked_example():
    layer = DotProductAttention()
    context, scores = layer(QUERY, VALUE, KEY, return_attention_scores=True)
    assert_allclose(
        scores[0, 0], [[0, 1, 0], [0, 1, 0], [1 / 3] * 3], atol=1e-6
    )
    assert_allclose(context[0], CONTEXT, rtol=1e-6, atol=1e-6)
    assert layer.weights == []


@pytest.mark.check("equation")
def test_worked_example_from_its_samples():
    samples = SAMPLES[None].astype("float32")
    layer = DotProductAttention(units=3)
    layer.build(samples.shape, VALUE.shape, samples.shape)
    layer.set_weights([np.array(QUERY_KERNEL), np.array(KEY_KERNEL)])
    value = samples @ np.array(VALUE_KERNEL, "float32")
    assert_array_equal(value, VALUE)
    assert_allclose(
        layer(samples, value, samples)[0], CONTEXT, rtol=1e-6, atol=1e-6
    )


@pytest.mark.check("equation")
def test_worked_example_without_transpose():
    # softmax(Q K) V: a query is compared with the features of all samples,
    # not with the samples, so another row of V wins.
    key = KEY.swapaxes(1, 2)
    context = DotProductAttention(scale=False)(QUERY, VALUE, key)
    assert_allclose(
        context[0],
        [[0, 35, 11], [0, 35, 11], [0, 79 / 3, 26 / 3]],
        rtol=1e-6,
        atol=1e-6,
    )


@pytest.mark.check("equation")
def test_scale_by_hand():
    # d = 4: q . k = 4 log 2 is halved to 2 log 2.
    query = np.full((1, 1, 4), 2 * np.log(2), "float32")
    key = np.array([[[0.5] * 4, [0] * 4, [-0.5] * 4]], "float32")
    value = np.array([[[1], [2], [4]]], "float32")
    for scale, exponent in ((True, 2), (False, 4)):
        high, low = 2.0**exponent, 2.0**-exponent
        total = high + 1 + low
        context, scores = DotProductAttention(scale=scale)(
            query, value, key, return_attention_scores=True
        )
        assert_allclose(
            scores[0, 0, 0], np.array([high, 1, low]) / total, rtol=1e-5
        )
        assert_allclose(
            context[0, 0, 0], (high + 2 + 4 * low) / total, rtol=1e-5
        )


@pytest.mark.check("equation")
@pytest.mark.parametrize("scale", [False, True])
def test_equals_the_formula_with_learned_projections(scale):
    draw = np.random.default_rng(0).normal
    query, value = draw(size=(2, 3, 7)), draw(size=(2, 5, 11))
    key = draw(size=(2, 5, 13))
    kernels = 0.3 * draw(size=(7, 17)), 0.3 * draw(size=(13, 17))
    layer = DotProductAttention(units=17, scale=scale)
    layer.build(query.shape, value.shape, key.shape)
    layer.set_weights(kernels)
    # The width that counts is that of the projections, 17.
    divisor = np.sqrt(17) if scale else 1.0
    weights, expected = np.zeros((2, 3, 5)), np.zeros((2, 3, 11))
    for b, t in np.ndindex(2, 3):
        logits = [
            (query[b, t] @ kernels[0]) @ (row @ kernels[1]) / divisor
            for row in key[b]
        ]
        weights[b, t] = np.exp(logits) / np.exp(logits).sum()
        expected[b, t] = weights[b, t] @ value[b]
    context, scores = layer(query, value, key, return_attention_scores=True)
    assert_allclose(scores[:, 0], weights, atol=1e-5)
    assert_allclose(context, expected, atol=1e-5)


@pytest.mark.check("bad input")
def test_widths_that_differ_need_units():
    query, value = np.zeros((2, 3, 7)), np.zeros((2, 5, 11))
    with pytest.raises(ValueError, match=r"query\.shape=\(2, 3, 7\), key"):
        DotProductAttention()(query, value)
    assert DotProductAttention(units=3)(query, value).shape == (2, 3, 11)

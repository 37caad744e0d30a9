import numpy as np
import pytest

from layers import AdditiveAttention
from tests.layers.running import assert_allclose


def softmax(logits):
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def with_weights(layer, inputs, *weights):
    layer.build(*(np.shape(array) for array in inputs))
    layer.set_weights(weights)
    return layer


@pytest.mark.check("equation")
def test_by_hand():
    # tanh(log 3 / 2) = (3 - 1) / (3 + 1) = 1/2 and
    # tanh(log 3) = (9 - 1) / (9 + 1) = 4/5, so with v = 10 log 2 the
    # exponentials are 2^5 and 2^8, or one over them.
    half = np.log(3) / 2
    query = np.array([[[half], [-half]]], "float32")
    key = np.array([[[0.0], [-half], [half]]], "float32")
    value = np.array([[[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]], "float32")
    layer = with_weights(
        AdditiveAttention(units=1),
        (query, value, key),
        np.ones((1, 1)),
        np.ones((1, 1)),
        np.full((1, 1), 10 * np.log(2)),
    )
    context, scores = layer(query, value, key, return_attention_scores=True)
    # 2^5, 1, 2^8 and 2^-5, 2^-8, 1, the second times 2^8.
    assert_allclose(
        scores[0, 0],
        [[32 / 289, 1 / 289, 256 / 289], [8 / 265, 1 / 265, 256 / 265]],
        rtol=2e-5,
    )
    assert_allclose(
        context[0],
        [[(32 + 256) / 289, 257 / 289], [(8 + 256) / 265, 257 / 265]],
        rtol=2e-5,
    )


@pytest.mark.check("equation")
@pytest.mark.parametrize("use_bias", [False, True])
def test_equals_the_paper(use_bias):
    """A.1.2: e_ij = v . tanh(W_a s_{i-1} + U_a h_j), one pair at a time."""
    draw = np.random.default_rng(0).normal
    state = draw(size=(2, 3, 7))
    memory, key = draw(size=(2, 5, 11)), draw(size=(2, 5, 13))
    w, u, v = draw(size=(7, 17)), draw(size=(13, 17)), draw(size=(17, 1))
    bias = draw(size=17) if use_bias else np.zeros(17)
    energy = np.zeros((2, 3, 5))
    for b, i, j in np.ndindex(energy.shape):
        hidden = np.tanh(w.T @ state[b, i] + u.T @ key[b, j] + bias)
        energy[b, i, j] = v[:, 0] @ hidden
    weights = softmax(energy)
    expected = np.zeros((2, 3, 11))
    for b, i, j in np.ndindex(energy.shape):
        expected[b, i] += weights[b, i, j] * memory[b, j]
    layer = with_weights(
        AdditiveAttention(units=17, use_bias=use_bias),
        (state, memory, key),
        *([w, u, v, bias] if use_bias else [w, u, v]),
    )
    context, scores = layer(state, memory, key, return_attention_scores=True)
    assert_allclose(scores[:, 0], weights, atol=1e-5)
    assert_allclose(context, expected, atol=1e-5)


def test_weights():
    layer = AdditiveAttention(units=17)
    layer.build((None, 3, 7), (None, 5, 11))
    assert [(weight.name, weight.shape) for weight in layer.weights] == [
        ("query_kernel", (7, 17)),
        ("key_kernel", (11, 17)),
        ("score_kernel", (17, 1)),
    ]


def test_weights_of_one_shape_start_apart():
    layer = AdditiveAttention(units=7, kernel_initializer="random_normal")
    layer.build((None, 3, 7), (None, 5, 7))
    query_kernel, key_kernel, _ = layer.get_weights()
    assert np.abs(query_kernel - key_kernel).max() > 1e-3
    assert layer.get_config()["kernel_initializer"]["class_name"] == (
        "RandomNormal"
    )

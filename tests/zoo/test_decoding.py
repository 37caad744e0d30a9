import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from preprocessing import special_tokens
from zoo import _decoding
from zoo import _next_token

A, B, C = 4, 5, 6
PADDING, UNKNOWN, START, END = range(4)

# Probabilities of the next token after each token: START to A, A to B,
# B to END or C, C to C. The rest is spread.
PROBABILITIES = np.full((7, 7), 0.01)
for _before, _after, _probability in (
    (START, A, 0.5),
    (START, PADDING, 0.9),
    (START, START, 0.8),
    (A, B, 0.25),
    (A, UNKNOWN, 0.9),
    (B, END, 0.3),
    (B, C, 0.2),
    (C, C, 0.4),
):
    PROBABILITIES[_before, _after] = _probability
PROBABILITIES /= PROBABILITIES.sum(axis=-1, keepdims=True)


def step(tokens, state):
    """A chain of tokens; the state counts the steps."""
    logits = ops.take(np.log(PROBABILITIES), tokens, axis=0) + 3.0
    return logits, {"steps": state["steps"] + 1, "turn": state["turn"]}


def begin(batch_size):
    return {
        "steps": ops.zeros((batch_size,), "int32"),
        "turn": ops.arange(batch_size),
    }


def test_special_tokens_are_those_of_the_preprocessing():
    for name in ("PADDING_ID", "UNKNOWN_ID", "START_ID", "END_ID"):
        assert getattr(_next_token, name) == getattr(special_tokens, name)
    assert (PADDING, UNKNOWN, START, END) == (
        special_tokens.PADDING_ID,
        special_tokens.UNKNOWN_ID,
        special_tokens.START_ID,
        special_tokens.END_ID,
    )


def test_rules_for_the_next_token():
    logits = tf.constant(np.log([[0.1, 0.2, 0.1, 0.1, 0.5]]), "float32")
    ruled = _next_token.NextToken().apply(logits, 0, np.zeros((1, 3), "int32"))
    np.testing.assert_array_equal(ruled[0, 3:], logits[0, 3:])
    assert np.all(np.asarray(ruled)[0, :3] <= -1e29)


def test_log_probabilities_are_exact_near_0_and_never_above_it():
    generator = np.random.default_rng(0)
    scale = generator.uniform(0, 20, (500, 1))
    logits = 40 + scale * generator.normal(size=(500, 40))
    exact = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    shifted, normalizer = _next_token.shift_logits(logits)
    found = np.asarray(shifted - normalizer)
    assert found.max() <= 0
    # The nearest float32 of a logit is up to 4e-6 off.
    np.testing.assert_allclose(found, exact, rtol=1e-6, atol=1e-5)
    best = exact.argmax(axis=-1)[:, None]
    near = np.take_along_axis(exact, best, axis=-1) > -1e-3
    assert near.sum() > 10
    np.testing.assert_allclose(
        np.take_along_axis(found, best, axis=-1)[near],
        np.take_along_axis(exact, best, axis=-1)[near],
        atol=3e-7,
    )
    for each in _next_token.shift_logits(tf.constant(logits, "float16")):
        assert each.dtype == "float32"


@pytest.mark.parametrize("max_length", [3, 7, 11])
@pytest.mark.parametrize("compiled", [False, True])
def test_greedy_search(max_length, compiled):
    def search():
        return _decoding.greedy_search(step, begin(2), 2, max_length)

    ids, score = tf.function(search)() if compiled else search()
    assert ids.dtype == "int32"
    assert score.dtype == "float32"
    path = [A, B, END]
    expected = path + [PADDING] * (max_length - 3)
    np.testing.assert_array_equal(ids, [expected, expected])
    total = sum(
        np.log(PROBABILITIES[before, after])
        for before, after in zip([START, *path], path)
    )
    np.testing.assert_allclose(score, [total, total], rtol=1e-5)


def test_a_sequence_that_reaches_the_limit_has_no_end():
    ids, score = _decoding.greedy_search(step, begin(1), 1, 2)
    np.testing.assert_array_equal(ids, [[A, B]])
    total = np.log(PROBABILITIES[START, A] * PROBABILITIES[A, B])
    np.testing.assert_allclose(score, [total], rtol=1e-5)


def test_a_limit_for_each_sequence():
    limits = np.array([1, 3, 2, 7])
    ids, score = _decoding.greedy_search(step, begin(4), 4, 5, limits)
    np.testing.assert_array_equal(
        ids,
        [
            [A, 0, 0, 0, 0],
            [A, B, END, 0, 0],
            [A, B, 0, 0, 0],
            [A, B, END, 0, 0],
        ],
    )
    np.testing.assert_allclose(
        score[0], np.log(PROBABILITIES[START, A]), rtol=1e-5
    )
    np.testing.assert_allclose(score[1], score[3])


def test_the_search_stops_when_all_have_ended():
    steps = []

    def counted(tokens, state):
        steps.append(tokens)
        return step(tokens, state)

    _decoding.greedy_search(counted, begin(2), 2, 11)
    assert len(steps) == 3


def test_limits_and_sizes_known_in_the_graph_only():
    @tf.function(
        input_signature=[tf.TensorSpec([], "int32"), tf.TensorSpec([], "int32")]
    )
    def search(batch_size, max_length):
        return _decoding.greedy_search(
            step, begin(batch_size), batch_size, max_length
        )

    ids, _ = search(3, 5)
    np.testing.assert_array_equal(ids, [[A, B, END, 0, 0]] * 3)

import numpy as np
import pytest
from keras import ops

from layers.rollout import attention_rollout
from layers.rollout import rollout_map
from tests.layers.running import array
from tests.layers.running import assert_allclose
from tests.layers.running import assert_array_equal
from tests.layers.running import dtype_of
from tests.layers.running import graphs


def scores_of(num_layers, batch_size=2, num_heads=3, length=5):
    logits = np.random.default_rng(0).normal(
        size=(num_layers, batch_size, num_heads, length, length)
    )
    weights = np.exp(logits)
    weights /= weights.sum(axis=-1, keepdims=True)
    return list(weights.astype("float32"))


def test_by_hand():
    # Two tokens. In the first layer token 0 looks at 1 and 1 at itself; in
    # the second both look at 0.
    first = np.array([[[[0, 1], [0, 1]]]], "float32")
    second = np.array([[[[1, 0], [1, 0]]]], "float32")
    # With the residual: half of itself, half of what it looks at.
    #   first  [[1/2, 1/2], [0, 1]]      second  [[1, 0], [1/2, 1/2]]
    # Token 1 at the end is half token 0 after the first layer, (1/2, 1/2),
    # and half itself, (0, 1).
    expected = [[[1 / 2, 1 / 2], [1 / 4, 3 / 4]]]
    assert_array_equal(attention_rollout([first, second]), expected)
    # The order matters.
    other = array(attention_rollout([second, first]))
    assert_array_equal(other, [[[3 / 4, 1 / 4], [1 / 2, 1 / 2]]])
    assert_array_equal(
        attention_rollout({"0/self": first, "1/self": second}), expected
    )


def test_heads_by_hand():
    # One head looks at the other token, one at itself.
    scores = np.array([[[[0, 1], [1, 0]], [[1, 0], [0, 1]]]], "float32")
    for heads, moved in (
        (None, 1 / 4),
        ([0], 1 / 2),
        ((1,), 0),
        ([0, 1], 1 / 4),
    ):
        assert_array_equal(
            attention_rollout([scores], heads=heads),
            [[[1 - moved, moved], [moved, 1 - moved]]],
        )


@pytest.mark.parametrize("heads", [None, [2, 0]])
def test_equals_a_loop(heads):
    scores = scores_of(4)
    expected = np.zeros((2, 5, 5))
    for sample in range(2):
        held = np.eye(5)
        for layer in scores:
            new = np.zeros((5, 5))
            for token in range(5):
                chosen = range(3) if heads is None else heads
                for head in chosen:
                    share = layer[sample, head, token] / len(chosen)
                    new[token] += 0.5 * share @ held
                new[token] += 0.5 * held[token]
            held = new
        expected[sample] = held
    for run in (
        lambda *each: attention_rollout(each, heads=heads),
        *graphs(lambda *each: attention_rollout(each, heads=heads)),
    ):
        found = run(*map(ops.convert_to_tensor, scores))
        assert_allclose(found, expected, atol=1e-6)
    assert_allclose(np.sum(array(found), axis=-1), np.ones((2, 5)), atol=1e-6)


def test_a_token_without_attention_holds_itself():
    scores = scores_of(3)
    for layer in scores:
        layer[:, :, 4] = 0
        layer[:, :, :, 4] = 0
    found = array(attention_rollout(scores))
    assert_allclose(found[:, 4], np.tile(np.eye(5)[4], (2, 1)), atol=1e-7)
    assert_array_equal(found[:, :4, 4], np.zeros((2, 4)))
    assert_allclose(found.sum(axis=-1), np.ones((2, 5)), atol=1e-6)


def test_half_precision_is_widened():
    scores = [each.astype("float16") for each in scores_of(2)]
    found = attention_rollout(scores)
    assert dtype_of(found) == "float32"
    assert_allclose(found, attention_rollout(scores_of(2)), atol=1e-3)


def test_map_of_the_class_token():
    rollout = np.arange(98, dtype="float32").reshape(2, 7, 7)
    found = rollout_map(rollout, (2, 3), num_prefix_tokens=1)
    assert_array_equal(
        found, [[[1, 2, 3], [4, 5, 6]], [[50, 51, 52], [53, 54, 55]]]
    )
    found = rollout_map(rollout, (5, 1), num_prefix_tokens=2)
    assert_array_equal(found[0, :, 0], [2, 3, 4, 5, 6])


def test_map_without_a_class_token():
    rollout = np.array(
        [[[1, 0, 0, 3], [0, 1, 0, 3], [1, 1, 0, 3], [2, 2, 4, 3]]]
    )
    rollout = rollout.astype("float32")
    found = rollout_map(rollout, (2, 2))
    assert_array_equal(found, [[[1, 1], [1, 3]]])
    # By the weights of a pooling.
    weights = np.array([[0.5, 0, 0.25, 0.25]], "float32")
    found = rollout_map(rollout, (2, 2), query_weights=weights)
    assert_array_equal(found, [[[1.25, 0.75], [1, 3]]])


def test_bad_input():
    with pytest.raises(ValueError, match=r"Received: scores=\[\]"):
        attention_rollout([])
    message = r"Received: scores\.shape=\(2, 3, 4, 5\)"
    with pytest.raises(ValueError, match=message):
        attention_rollout([np.zeros((2, 3, 4, 5))])
    with pytest.raises(ValueError, match=r"Received: scores\.shape=\(5, 5\)"):
        attention_rollout([np.zeros((5, 5))])
    for heads in ([], [3], [-1]):
        with pytest.raises(ValueError, match=r"numbers from 0 to 2, .*heads="):
            attention_rollout(scores_of(1), heads=heads)

import numpy as np
import pytest
from keras import ops

from layers.local_attention import LocalAttention
from tests.layers.running import array
from tests.layers.running import assert_allclose
from tests.layers.running import assert_array_equal
from tests.layers.running import weighted_sum

# B 2, T 3, S 9, query 7, value 11, key 13, units 5.
DRAW = np.random.default_rng(0).normal
QUERY, VALUE = DRAW(size=(2, 3, 7)), DRAW(size=(2, 9, 11))
KEY, DOT_KEY = DRAW(size=(2, 9, 13)), DRAW(size=(2, 9, 7))
KERNEL = 0.3 * DRAW(size=(7, 13))
POSITION_KERNEL = DRAW(size=(7, 5))
POSITION_SCORE_KERNEL = DRAW(size=(5, 1))
LENGTHS = (9, 6)
MASK = np.arange(9) < np.array(LENGTHS)[:, None]


def made(alignment, score_mode="general", window_size=2, **options):
    layer = LocalAttention(
        window_size,
        alignment=alignment,
        units=5,
        score_mode=score_mode,
        **options,
    )
    layer.build(QUERY.shape, VALUE.shape, keys(score_mode).shape)
    weights = [KERNEL] if score_mode == "general" else []
    if alignment == "predictive":
        weights += [POSITION_KERNEL, POSITION_SCORE_KERNEL]
    layer.set_weights(weights)
    return layer


def keys(score_mode):
    return KEY if score_mode == "general" else DOT_KEY


def centre_by_formula(alignment, b, t):
    if alignment == "monotonic":
        return t
    features = np.tanh(QUERY[b, t] @ POSITION_KERNEL)
    return LENGTHS[b] / (1 + np.exp(-features @ POSITION_SCORE_KERNEL[:, 0]))


@pytest.mark.check("equation")
@pytest.mark.parametrize("score_mode", ["general", "dot"])
@pytest.mark.parametrize("alignment", ["monotonic", "predictive"])
def test_equals_the_paper(alignment, score_mode):
    key = keys(score_mode)
    kernel = KERNEL if score_mode == "general" else np.eye(7)
    expected_scores = np.zeros((2, 3, 9))
    expected = np.zeros((2, 3, 11))
    for b, t in np.ndindex(2, 3):
        centre = centre_by_formula(alignment, b, t)
        window = [s for s in range(LENGTHS[b]) if abs(s - centre) <= 2]
        logits = [QUERY[b, t] @ kernel @ key[b, s] for s in window]
        align = np.exp(logits) / np.exp(logits).sum()
        for s, weight in zip(window, align):
            if alignment == "predictive":
                weight *= np.exp(-((s - centre) ** 2) / (2 * (2 / 2) ** 2))
            expected_scores[b, t, s] = weight
            expected[b, t] += weight * VALUE[b, s]
    assert ((expected_scores > 0).sum(axis=-1) >= 2).all()
    context, scores = made(alignment, score_mode, dtype="float64")(
        QUERY, VALUE, key, value_mask=MASK, return_attention_scores=True
    )
    assert_allclose(scores[:, 0], expected_scores, atol=1e-12)
    assert_allclose(context, expected, atol=1e-12)


def window_of(query_length, key_length, window_size=1, **options):
    """Scores of queries that find all keys alike."""
    layer = LocalAttention(window_size, score_mode="dot", **options)
    query = np.zeros((1, query_length, 2), "float32")
    key = np.ones((1, key_length, 2), "float32")
    return layer, (query, key)


@pytest.mark.check("equation")
def test_monotonic_by_hand():
    layer, inputs = window_of(3, 5)
    _, scores = layer(*inputs, return_attention_scores=True)
    third = 1 / 3
    assert_allclose(
        scores[0, 0],
        [
            [0.5, 0.5, 0, 0, 0],
            [third, third, third, 0, 0],
            [0, third, third, third, 0],
        ],
        rtol=1e-6,
    )


@pytest.mark.check("equation")
def test_a_window_of_one_key():
    layer, inputs = window_of(3, 5, window_size=0)
    _, scores = layer(*inputs, return_attention_scores=True)
    assert_array_equal(scores[0, 0], np.eye(3, 5))


@pytest.mark.check("masks")
def test_under_the_causal_mask_the_last_query_stands_at_the_last_key():
    layer, inputs = window_of(2, 5)
    _, scores = layer(
        *inputs, use_causal_mask=True, return_attention_scores=True
    )
    assert_allclose(
        scores[0, 0], [[0, 0, 0.5, 0.5, 0], [0, 0, 0, 0.5, 0.5]], rtol=1e-6
    )


@pytest.mark.check("masks")
def test_queries_behind_all_keys_attend_to_nothing():
    layer, inputs = window_of(7, 3)
    context, scores = layer(*inputs, return_attention_scores=True)
    seen = array(scores)[0, 0] > 0
    assert_array_equal(seen.sum(axis=-1), [2, 3, 2, 1, 0, 0, 0])
    assert_array_equal(context[0, 4:], np.zeros((3, 2)))


@pytest.mark.check("equation")
def test_predictive_by_hand():
    # With v = 0 the centre is S / 2: 2 of 4 keys, 1 of the first 2. The
    # window of 2 holds all, and with D / 2 = 1 the Gaussian is exp(-d^2 / 2).
    layer, (query, key) = window_of(1, 4, 2, alignment="predictive")
    layer.build(query.shape, key.shape)
    layer.set_weights([np.ones((2, 2)), np.zeros((2, 1))])
    _, scores = layer(query, key, return_attention_scores=True)
    assert_allclose(scores[0, 0, 0], np.exp([-2, -0.5, 0, -0.5]) / 4, rtol=1e-6)
    for masks in (
        {"key_mask": np.array([[True, True, False, False]])},
        {"attention_mask": np.array([[True, True, False, False]])},
    ):
        _, scores = layer(query, key, return_attention_scores=True, **masks)
        assert_allclose(
            scores[0, 0, 0], [np.exp(-0.5) / 2, 1 / 2, 0, 0], rtol=1e-6
        )


@pytest.mark.check("precision")
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_positions_are_exact_in_half_precision(policy):
    # The centres: 499.5 is no number of bfloat16, 2000.5 none of float16. The
    # two keys beside a centre weigh the same.
    for length in (999, 4001):
        layer, (query, key) = window_of(
            1, length, 3, alignment="predictive", dtype=policy
        )
        layer.build(query.shape, key.shape)
        layer.set_weights([np.ones((2, 2)), np.zeros((2, 1))])
        _, scores = layer(query, key, return_attention_scores=True)
        scores = array(scores)[0, 0, 0]
        first = length // 2 - 2
        distance = np.array([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5])
        expected = np.exp(-(distance**2) / (2 * 1.5**2)) / 6
        assert_allclose(scores[first : first + 6], expected, rtol=1e-5)
        assert np.count_nonzero(scores) == 6


def test_weights():
    layer = made("predictive")
    assert [(weight.name, weight.shape) for weight in layer.weights] == [
        ("kernel", (7, 13)),
        ("position_kernel", (7, 5)),
        ("position_score_kernel", (5, 1)),
    ]
    assert [weight.name for weight in made("monotonic").weights] == ["kernel"]
    # Without `units`, as wide as the query.
    layer = LocalAttention(2, alignment="predictive", score_mode="dot")
    layer.build((2, 3, 7), (2, 9, 7))
    assert [weight.shape for weight in layer.weights] == [(7, 7), (7, 1)]


def loss_of(layer):
    direction = np.random.default_rng(5).normal(size=(2, 3, 11))

    def loss():
        context = layer(QUERY, VALUE, KEY, value_mask=MASK)
        return weighted_sum(context, direction)

    return loss


@pytest.mark.check("gradients")
@pytest.mark.parametrize("alignment", ["monotonic", "predictive"])
def test_gradients(alignment, assert_gradients_match):
    layer = made(alignment, dtype="float64")
    assert_gradients_match(loss_of(layer), layer.trainable_variables)


@pytest.mark.check("cache")
@pytest.mark.parametrize("alignment", ["monotonic", "predictive"])
def test_memory_that_grows(alignment):
    layer = made(alignment, dtype="float64")
    query, value, key = (
        ops.convert_to_tensor(array) for array in (QUERY, VALUE, KEY)
    )
    memory = layer.project(value[:, :4], key[:, :4], capacity=10)
    memory = layer.append(memory, value[:, 4:], key[:, 4:])
    whole = layer(query, value, key, use_causal_mask=True)
    assert_allclose(
        layer.attend(query, memory, use_causal_mask=True), whole, atol=1e-12
    )
    assert_allclose(
        layer.attend(query[:, -1:], memory, use_causal_mask=True),
        whole[:, -1:],
        atol=1e-12,
    )


@pytest.mark.check("saved")
def test_config():
    given = {
        "window_size": 3,
        "alignment": "predictive",
        "units": 5,
        "score_mode": "dot",
        "blockwise": False,
    }
    config = LocalAttention(**given).get_config()
    assert {name: config[name] for name in given} == given
    assert LocalAttention.from_config(config).get_config() == config


@pytest.mark.check("bad input")
@pytest.mark.parametrize(
    "arguments, received",
    [
        ({"window_size": None}, "window_size=None"),
        ({"window_size": -1}, "window_size=-1"),
        (
            {"window_size": 0, "alignment": "predictive"},
            "window_size=0",
        ),
        ({"window_size": 2, "alignment": "local"}, "alignment='local'"),
        ({"window_size": 2, "score_mode": "concat"}, "score_mode='concat'"),
        (
            {"window_size": 2, "alignment": "predictive", "blockwise": True},
            "blockwise=True",
        ),
    ],
)
def test_bad_input(arguments, received):
    with pytest.raises(ValueError, match=f"Received: {received}"):
        LocalAttention(**arguments)

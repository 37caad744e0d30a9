import keras
import numpy as np
import pytest
from keras import ops

from layers.location_attention import LocationAttention
from tests.layers.running import array
from tests.layers.running import assert_allclose
from tests.layers.running import assert_array_equal
from tests.layers.running import compiled
from tests.layers.running import dtype_of
from tests.layers.running import graphs
from tests.layers.running import weighted_sum

# B 2, T 3, S 5 of at most 6, query 7, value 11, key 13, output 17.
DRAW = np.random.default_rng(0).normal
QUERY, VALUE = DRAW(size=(2, 3, 7)), DRAW(size=(2, 5, 11))
KEY = DRAW(size=(2, 5, 13))
KERNEL, BIAS = 0.3 * DRAW(size=(20, 6)), DRAW(size=6)
OUTPUT_KERNEL, OUTPUT_BIAS = 0.3 * DRAW(size=(18, 17)), DRAW(size=17)
KEY_MASK = np.array([[1, 1, 0, 1, 0], [1, 0, 1, 1, 1]], bool)
PAIRS = np.arange(15).reshape(3, 5) % 4 < 3


def made(use_key=True, use_bias=True, output_dim=None, **options):
    layer = LocationAttention(
        max_length=6,
        output_dim=output_dim,
        use_key=use_key,
        use_bias=use_bias,
        **options,
    )
    layer.build(QUERY.shape, VALUE.shape, KEY.shape)
    layer.set_weights(weights(use_key, use_bias, output_dim))
    return layer


def weights(use_key, use_bias, output_dim):
    linear = [KERNEL if use_key else KERNEL[:7]]
    if use_bias:
        linear.append(BIAS)
    if output_dim is None:
        return linear
    return [*linear, OUTPUT_KERNEL, *([OUTPUT_BIAS] if use_bias else [])]


def by_formula(allowed, use_key, use_bias):
    """Weights and contexts, one query at a time."""
    scores, contexts = np.zeros((2, 3, 5)), np.zeros((2, 3, 11))
    for b, t in np.ndindex(2, 3):
        seen = [s for s in range(5) if allowed[b, t, s]]
        if not seen:
            continue
        inputs = QUERY[b, t]
        if use_key:
            inputs = np.concatenate([inputs, KEY[b, seen[-1]]])
        logits = inputs @ KERNEL[: len(inputs)] + use_bias * BIAS
        exponentials = {s: np.exp(logits[s]) for s in seen}
        for s in seen:
            scores[b, t, s] = exponentials[s] / sum(exponentials.values())
            contexts[b, t] += scores[b, t, s] * VALUE[b, s]
    return scores, contexts


def my_attention(layer, query, key, value):
    """The module of one query: `(1, query_size)`, `(1, key_size)` and
    `(1, value_size1, value_size2)` give output and weights."""
    states = np.repeat(key[:, None], value.shape[1], axis=1)
    output, scores = layer(
        query[:, None], value, states, return_attention_scores=True
    )
    return output[:, 0], scores[:, 0, 0]


@pytest.mark.check("equation")
def test_a_module_with_a_linear_map_to_positions():
    # query_size 7, key_size 13, value_size1 6, value_size2 11, output_size 17.
    query, key = DRAW(size=(1, 7)), DRAW(size=(1, 13))
    value = DRAW(size=(1, 6, 11))
    logits = np.concatenate([query, key], axis=-1) @ KERNEL + BIAS
    expected_weights = np.exp(logits) / np.exp(logits).sum()
    applied = np.einsum("bs,bsd->bd", expected_weights, value)
    joined = np.concatenate([query, applied], axis=-1)
    layer = made(output_dim=17, dtype="float64")
    output, scores = my_attention(layer, query, key, value)
    assert output.shape == (1, 17) and scores.shape == (1, 6)
    assert_allclose(scores, expected_weights, atol=1e-12)
    assert_allclose(output, joined @ OUTPUT_KERNEL + OUTPUT_BIAS, atol=1e-12)


@pytest.mark.check("equation")
@pytest.mark.parametrize(
    "masks, allowed",
    [
        ({}, np.ones((2, 3, 5), bool)),
        (
            {"key_mask": KEY_MASK},
            np.broadcast_to(KEY_MASK[:, None], (2, 3, 5)),
        ),
        (
            {"use_causal_mask": True},
            np.broadcast_to(np.tri(3, 5, k=2, dtype=bool), (2, 3, 5)),
        ),
        (
            {"key_mask": KEY_MASK, "attention_mask": PAIRS},
            KEY_MASK[:, None] & PAIRS,
        ),
        (
            {"query_mask": np.array([[1, 0, 1], [0, 1, 1]], bool)},
            np.array([[1, 0, 1], [0, 1, 1]], bool)[:, :, None]
            & np.ones(5, bool),
        ),
    ],
    ids=["none", "keys", "causal", "pairs", "queries"],
)
@pytest.mark.parametrize("use_key", [True, False])
@pytest.mark.parametrize("use_bias", [True, False])
def test_equals_the_formula(masks, allowed, use_key, use_bias):
    expected_scores, expected = by_formula(allowed, use_key, use_bias)
    context, scores = made(use_key, use_bias, dtype="float64")(
        QUERY, VALUE, KEY, return_attention_scores=True, **masks
    )
    assert_allclose(scores[:, 0], expected_scores, atol=1e-12)
    assert_allclose(context, expected, atol=1e-12)


@pytest.mark.check("equation")
def test_only_the_key_state_counts():
    def scores(key, **options):
        _, scores = made(**options)(
            QUERY, VALUE, key, key_mask=KEY_MASK, return_attention_scores=True
        )
        return array(scores)

    expected, alone = scores(KEY), scores(KEY, use_key=False)
    for s in range(5):
        other = KEY.copy()
        other[:, s] += 1
        # The last allowed keys are 3 in the first row and 4 in the second.
        changed = np.abs(scores(other) - expected).max(axis=(1, 2, 3)) > 1e-3
        assert_array_equal(changed, [s == 3, s == 4])
        assert_array_equal(scores(other, use_key=False), alone)


@pytest.mark.check("masks")
def test_output_of_a_query_without_keys():
    mask = np.array([[1] * 5, [0] * 5], bool)
    output, scores = made(output_dim=17, dtype="float64")(
        QUERY, VALUE, KEY, value_mask=mask, return_attention_scores=True
    )
    assert not array(scores[1]).any()
    assert_allclose(
        output[1], QUERY[1] @ OUTPUT_KERNEL[:7] + OUTPUT_BIAS, atol=1e-12
    )


@pytest.mark.check("cache")
def test_memory_that_grows():
    layer = made(dtype="float64")
    tensors = [ops.convert_to_tensor(array) for array in (QUERY, VALUE, KEY)]
    query, value, key = tensors
    memory = layer.project(value[:, :2], key[:, :2], capacity=6)
    memory = layer.append(memory, value[:, 2:], key[:, 2:])
    assert_allclose(
        layer.attend(query, memory, use_causal_mask=True),
        layer(query, value, key, use_causal_mask=True),
        atol=1e-12,
    )


@pytest.mark.check("bad input")
def test_too_many_keys():
    layer = made()
    message = r"Received: max_length=6, key_length=7"
    with pytest.raises(ValueError, match=message):
        layer(QUERY, np.zeros((2, 7, 11)), np.zeros((2, 7, 13)))
    with pytest.raises(ValueError, match=message):
        layer(QUERY, keras.Input((7, 11)), keras.Input((7, 13)))
    with pytest.raises(ValueError, match="Received: max_length=0"):
        LocationAttention(max_length=0)


@pytest.mark.check("bad input")
@pytest.mark.tensorflow
def test_too_many_keys_where_the_graph_alone_knows_the_length():
    import tensorflow as tf

    symbols = [keras.Input((None, width)) for width in (7, 11, 13)]
    call = compiled(made(), False, symbols)
    inputs = [np.zeros((2, 7, width), "float32") for width in (7, 11, 13)]
    with pytest.raises(tf.errors.InvalidArgumentError):
        call(*inputs)
    assert call(*(given[:, :6] for given in inputs)).shape == (2, 6, 11)


def test_weights():
    names = ["kernel", "bias", "output_kernel", "output_bias"]
    shapes = [(20, 6), (6,), (18, 17), (17,)]
    layer = made(output_dim=17)
    assert [weight.name for weight in layer.weights] == names
    assert [weight.shape for weight in layer.weights] == shapes
    bare = made(use_key=False, use_bias=False)
    assert [weight.shape for weight in bare.weights] == [(7, 6)]


@pytest.mark.check("gradients")
def test_gradients(assert_gradients_match):
    layer = made(output_dim=17, dtype="float64")
    direction = DRAW(size=(2, 3, 17))

    def loss():
        output = layer(
            QUERY, VALUE, KEY, key_mask=KEY_MASK, use_causal_mask=True
        )
        return weighted_sum(output, direction)

    assert_gradients_match(loss, layer.trainable_variables)


# With `output_dim` the output is not the context, so what the checks of all
# layers ask of a context is asked here again.

INPUTS = [array.astype("float32") for array in (QUERY, VALUE, KEY)]
OPTIONS = {"use_causal_mask": True, "return_attention_scores": True}


@pytest.mark.check("compiled")
def test_output_in_all_ways_to_run(tmp_path):
    layer = made(output_dim=17)
    symbols = [keras.Input((None, array.shape[-1])) for array in INPUTS]
    outputs = layer(*symbols, **OPTIONS)
    assert outputs[0].shape == (None, None, 17)
    assert outputs[1].shape == (None, 1, None, None)
    model = keras.Model(symbols, outputs)
    expected = layer(*INPUTS, **OPTIONS)
    assert expected[0].shape == (2, 3, 17)
    model.save(tmp_path / "model.keras")

    def call(*arrays):
        return layer(*arrays, **OPTIONS)

    for run in (
        *graphs(call, symbols),
        lambda *arrays: model(arrays),
        lambda *arrays: keras.models.load_model(tmp_path / "model.keras")(
            arrays
        ),
    ):
        for left, right in zip(expected, run(*INPUTS)):
            assert_allclose(left, right, atol=2e-6)


@pytest.mark.check("precision")
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_output_in_half_precision(policy):
    expected, _ = made(output_dim=17)(*INPUTS, **OPTIONS)
    output, scores = made(output_dim=17, dtype=policy)(*INPUTS, **OPTIONS)
    assert dtype_of(output) == policy.removeprefix("mixed_")
    assert dtype_of(scores) == "float32"
    assert_allclose(ops.cast(output, "float32"), expected, atol=0.1)


@pytest.mark.check("saved")
def test_config_with_an_output():
    layer = LocationAttention(6, output_dim=17, use_key=False, use_bias=False)
    config = layer.get_config()
    assert config["max_length"] == 6 and config["output_dim"] == 17
    assert config["use_key"] is config["use_bias"] is False
    assert LocationAttention.from_config(config).get_config() == config

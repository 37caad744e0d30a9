import copy

import keras
import numpy as np
import pytest
from keras import ops

import layers
from layers import AdditiveAttention
from layers import attention_decoder
from layers import AttentionDecoder
from layers import DotProductAttention
from layers import record_attention
from tests.layers.running import array
from tests.layers.running import assert_allclose
from tests.layers.running import assert_array_equal
from tests.layers.running import compiled
from tests.layers.running import dtype_of
from tests.layers.running import each_jit
from tests.layers.running import JIT
from tests.layers.running import JIT_COMPILE
from tests.layers.running import outputs_and_gradients
from tests.layers.running import weighted_sum

# B 2, T 3, S 5, 4 input features, 6 value features, 7 units, compared in a
# space of 8.
DRAW = np.random.default_rng(0).normal
INPUTS = DRAW(size=(2, 3, 4))
VALUE = DRAW(size=(2, 5, 6))
INITIAL = DRAW(size=(2, 7))
MASK = np.array([[1, 1, 1, 1, 0], [1, 1, 1, 0, 0]], bool)

CELLS = ["gru", "lstm", "simple_rnn"]
ATTENTIONS = {
    "additive": AdditiveAttention,
    "scaled_dot": DotProductAttention,
    "none": None,
}
all_kinds = pytest.mark.parametrize(
    "cell, attention, input_in_query",
    [
        (cell, attention, input_in_query)
        for cell in CELLS
        for attention in ATTENTIONS
        for input_in_query in (False, True)
    ],
)
# Nothing but the query of an attention reads what `input_in_query` adds.
each_pair = pytest.mark.parametrize(
    "cell, attention, input_in_query",
    [
        ("gru", "additive", False),
        *(
            (cell, attention, True)
            for cell in CELLS
            for attention in ATTENTIONS
        ),
    ],
)
few_kinds = pytest.mark.parametrize(
    "cell, attention, input_in_query",
    [
        ("gru", "additive", False),
        ("lstm", "scaled_dot", True),
        ("simple_rnn", "none", False),
    ],
)


def given(attention):
    """What the decoder looks at: without attention, one context."""
    return (VALUE, MASK) if attention != "none" else (VALUE[:, :1], None)


def made(cell, attention, input_in_query, dtype="float64", **options):
    """A decoder whose weights all matter."""
    layer = {**ATTENTIONS, "subclass": Subclass}[attention]
    decoder = AttentionDecoder(
        7,
        attention=layer and layer(units=8, dtype=dtype, name="look"),
        cell=cell,
        input_in_query=input_in_query,
        dtype=dtype,
        name="decoder",
        **options,
    )
    decoder.build(INPUTS.shape, given(attention)[0].shape, INITIAL.shape)
    draw = np.random.default_rng(3).normal
    for weight in decoder.trainable_variables:
        weight.assign(draw(scale=0.5, size=weight.shape))
    return decoder


def run(decoder, attention, inputs=INPUTS):
    value, mask = given(attention)
    return decoder(inputs, value, INITIAL, value_mask=mask)


# The formula, one sentence and one step at a time.


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x):
    return np.exp(x) / np.exp(x).sum()


def cell_by_formula(kind, x, h, c, weights):
    u = weights["recurrent_kernel"]
    if kind == "simple_rnn":
        return np.tanh(x + h @ u), c
    if kind == "lstm":
        i, f, o, g = np.split(x + h @ u, 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        return sigmoid(o) * np.tanh(c), c
    (xz, xr, xh), (hz, hr, hh) = np.split(x, 3), np.split(h @ u, 3)
    candidate = np.tanh(
        xh + sigmoid(xr + hr) * (hh + weights["recurrent_bias"])
    )
    update = sigmoid(xz + hz)
    return update * h + (1 - update) * candidate, c


def weights_by_formula(kind, query, keys, weights):
    q, k = query @ weights["query_kernel"], keys @ weights["key_kernel"]
    if kind == "additive":
        logits = np.tanh(q + k) @ weights["score_kernel"][:, 0]
    else:
        logits = k @ q / np.sqrt(8)
    return softmax(logits)


def decoder_by_formula(decoder, cell, attention, input_in_query):
    """States, contexts and attention weights, in plain NumPy."""
    weights = {
        weight.path.split("decoder/")[1].replace("/", "_"): array(weight)
        for weight in decoder.weights
    }
    own = {
        name.partition("_")[2]: array
        for name, array in weights.items()
        if name.startswith(("cell_", "look_"))
    }
    value, _ = given(attention)
    states, contexts = np.zeros((2, 3, 7)), np.zeros((2, 3, 6))
    scores = np.zeros((2, 1, 3, 5))
    for b in range(2):
        h, c = INITIAL[b], np.zeros(7)
        for t in range(3):
            y = INPUTS[b, t]
            context = value[b, 0]
            if attention != "none":
                length = MASK[b].sum()
                query = np.concatenate([h, y]) if input_in_query else h
                row = weights_by_formula(
                    attention, query, value[b, :length], own
                )
                scores[b, 0, t, :length] = row
                context = row @ value[b, :length]
            x = y @ weights["input_projection_kernel"]
            x = x + weights["input_projection_bias"]
            x = x + context @ weights["context_projection_kernel"]
            h, c = cell_by_formula(cell, x, h, c, own)
            states[b, t], contexts[b, t] = h, context
    return states, contexts, scores


@pytest.mark.check("equation")
@all_kinds
def test_equals_the_formula(cell, attention, input_in_query):
    decoder = made(cell, attention, input_in_query)
    expected = decoder_by_formula(decoder, cell, attention, input_in_query)
    with record_attention() as recorded:
        states, contexts = run(decoder, attention)
    assert_allclose(states, expected[0], atol=1e-12)
    assert_allclose(contexts, expected[1], atol=1e-12)
    if attention == "none":
        assert recorded == {}
    else:
        assert list(recorded) == ["decoder/look"]
        assert_allclose(recorded["decoder/look"], expected[2], atol=1e-12)


@pytest.mark.check("cache")
@all_kinds
def test_steps_equal_the_call(cell, attention, input_in_query):
    decoder = made(cell, attention, input_in_query)
    value, mask = given(attention)
    with record_attention() as whole:
        expected_states, expected_contexts = run(decoder, attention)
    memory = decoder.project(ops.convert_to_tensor(value), value_mask=mask)
    states = decoder.start(ops.convert_to_tensor(INITIAL))
    assert len(states) == decoder.cell.num_states
    for t in range(3):
        with record_attention() as scores:
            states, context = decoder.step(
                ops.convert_to_tensor(INPUTS[:, t]), states, memory
            )
        assert_allclose(states[0], expected_states[:, t], atol=1e-12)
        assert_allclose(context, expected_contexts[:, t], atol=1e-12)
        assert list(scores) == list(whole)
        for path, row in scores.items():
            assert_allclose(row[:, :, 0], whole[path][:, :, t], atol=1e-12)


@pytest.mark.check("equation")
@pytest.mark.parametrize(
    "attention, context_dim",
    [
        (layers.MultiplicativeAttention(), 6),
        (layers.ConcatAttention(8), 6),
        (layers.LocalAttention(2, alignment="predictive"), 6),
        (layers.LocationAttention(5, output_dim=9), 9),
        (layers.MultiHeadAttention(2, key_dim=4), 11),
        (layers.MultiHeadAttention(2, key_dim=4, output_dim=9), 9),
        (layers.MixtureOfAttentionHeads(3, 2, key_dim=4), 11),
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_any_attention_fits(attention, context_dim):
    inputs, value, initial = (
        tensor.astype("float32") for tensor in (INPUTS, VALUE, INITIAL)
    )
    decoder = AttentionDecoder(7, attention=attention, input_in_query=True)
    states, contexts = decoder(inputs, value, initial, value_mask=MASK)
    assert contexts.shape == (2, 3, context_dim)
    memory = decoder.project(value, value_mask=MASK)
    carry = decoder.start(initial)
    for index in range(3):
        carry, context = decoder.step(inputs[:, index], carry, memory)
        assert_allclose(carry[0], states[:, index], atol=1e-5)
        assert_allclose(context, contexts[:, index], atol=1e-5)
    with record_attention() as scores:
        decoder(inputs, value, initial, value_mask=MASK)
    (found,) = scores.values()
    assert found.shape == (2, attention.score_heads, 3, 5)


@pytest.mark.check("gradients")
@each_pair
def test_gradients_equal_finite_differences(
    cell, attention, input_in_query, assert_gradients_match
):
    decoder = made(cell, attention, input_in_query)
    draw = np.random.default_rng(5).normal
    on_states, on_contexts = draw(size=(2, 3, 7)), draw(size=(2, 3, 6))
    value, mask = given(attention)

    def loss(inputs, value, initial):
        states, contexts = decoder(inputs, value, initial, value_mask=mask)
        return weighted_sum(states, on_states) + weighted_sum(
            contexts, on_contexts
        )

    weights = decoder.trainable_variables
    number = {"additive": 3, "scaled_dot": 2, "none": 0}[attention]
    assert len(weights) == 4 + number + (cell == "gru")
    found = assert_gradients_match(
        loss, weights, [INPUTS, value, INITIAL], jit=JIT[0]
    )
    sizes = [np.abs(gradient).max() for gradient in [*found[0], *found[1]]]
    assert all(size > 1e-3 * max(sizes) for size in sizes)


class Subclass(AdditiveAttention):
    """Might score otherwise, so the decoder runs its general loop."""


@pytest.mark.check("equation")
@pytest.mark.parametrize(
    "jit, mask",
    [(JIT[0], None), *((jit, MASK) for jit in JIT)],
    ids=lambda value: "mask" if value is MASK else str(value),
)
@pytest.mark.parametrize("input_in_query", [False, True])
def test_both_loops_are_one(input_in_query, mask, jit, monkeypatch):
    ran = []
    for name in ("run_steps", "run_additive_gru"):
        run = getattr(attention_decoder, name)
        monkeypatch.setattr(
            attention_decoder,
            name,
            lambda *args, name=name, run=run: ran.append(name) or run(*args),
        )
    on_states, on_contexts = DRAW(size=(2, 3, 7)), DRAW(size=(2, 3, 6))
    found = []
    for attention in ("additive", "subclass"):
        decoder = made("gru", attention, input_in_query)

        def train(inputs, value, initial, decoder=decoder):
            outputs = decoder(inputs, value, initial, value_mask=mask)
            directions = (on_states, on_contexts)
            return sum(map(weighted_sum, outputs, directions)), outputs

        found.append(
            outputs_and_gradients(
                train,
                [INPUTS, VALUE, INITIAL],
                decoder.trainable_variables,
                jit,
            )
        )
    assert ran == ["run_additive_gru", "run_steps"]
    for first, second in zip(*map(keras.tree.flatten, found)):
        assert_allclose(first, second, rtol=1e-9, atol=1e-12)


@pytest.mark.check("masks")
@pytest.mark.parametrize(
    "cell, attention, input_in_query",
    [("gru", "additive", False), ("lstm", "scaled_dot", True)],
)
def test_padding_of_the_source_changes_nothing(cell, attention, input_in_query):
    decoder = made(cell, attention, input_in_query)
    garbage = np.full((2, 4, 6), 1e4)
    mask = np.concatenate([MASK, np.zeros((2, 4), bool)], axis=1)
    with record_attention() as expected_scores:
        expected = run(decoder, attention)
    with record_attention() as scores:
        outputs = decoder(
            INPUTS,
            np.concatenate([VALUE, garbage], axis=1),
            INITIAL,
            value_mask=mask,
        )
    for left, right in zip(outputs, expected):
        assert_allclose(left, right, atol=1e-12)
    assert_allclose(
        scores["decoder/look"][..., :5],
        expected_scores["decoder/look"],
        atol=1e-12,
    )
    assert_array_equal(scores["decoder/look"][..., 5:], 0)


@pytest.mark.check("masks")
@few_kinds
def test_trimming_the_future_changes_nothing(cell, attention, input_in_query):
    decoder = made(cell, attention, input_in_query)
    whole = run(decoder, attention)
    for left, right in zip(run(decoder, attention, INPUTS[:, :2]), whole):
        assert_allclose(left, right[:, :2], atol=1e-12)


@pytest.mark.check("scores")
@few_kinds
@each_jit
def test_asking_for_attention_changes_nothing(
    cell, attention, input_in_query, jit
):
    decoder = made(cell, attention, input_in_query, dtype="float32")

    def ask():
        with record_attention() as scores:
            outputs = run(decoder, attention)
        return outputs, dict(scores)

    asked = compiled(ask, jit)
    unasked = compiled(lambda: run(decoder, attention), jit)
    outputs, scores = asked()
    assert len(scores) == (attention != "none")
    for left, right in zip(outputs, unasked()):
        assert_array_equal(left, right)
    for left, right in zip(outputs, run(decoder, attention)):
        assert_allclose(left, right, atol=1e-6)


@pytest.mark.check("compiled")
@pytest.mark.tensorflow
def test_lengths_known_in_the_graph_only():
    import tensorflow as tf

    decoder = made("gru", "additive", True)
    signature = [
        keras.KerasTensor((None, None, 4), "float64"),
        keras.KerasTensor((None, None, 6), "float64"),
        keras.KerasTensor((None, 7), "float64"),
        keras.KerasTensor((None, None), "bool"),
    ]

    def train(inputs, value, initial_state, mask):
        with tf.GradientTape() as tape:
            outputs = decoder(inputs, value, initial_state, value_mask=mask)
            loss = ops.sum(outputs[0])
        return outputs, tape.gradient(loss, decoder.input_projection.kernel)

    call = compiled(train, False, signature)
    outputs, gradient = call(INPUTS, VALUE, INITIAL, MASK)
    for left, right in zip(outputs, run(decoder, "additive")):
        assert_allclose(left, right, atol=1e-12)
    assert np.all(np.isfinite(gradient))


@pytest.mark.check("saved")
@few_kinds
def test_file_and_symbolic_shapes(cell, attention, input_in_query, tmp_path):
    value, _ = given(attention)
    length = 1 if attention == "none" else None
    symbols = [
        keras.Input((None, 4)),
        keras.Input((length, 6)),
        keras.Input((7,)),
    ]
    decoder = made(cell, attention, input_in_query, dtype="float32")
    outputs = decoder(*symbols)
    assert [output.shape for output in outputs] == [
        (None, None, 7),
        (None, None, 6),
    ]
    model = keras.Model(symbols, outputs)
    inputs = [array.astype("float32") for array in (INPUTS, value, INITIAL)]
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    for left, right in zip(model(inputs), loaded(inputs)):
        assert_array_equal(left, right)


@pytest.mark.check("gradients")
@pytest.mark.parametrize(
    "cell, attention, input_in_query",
    [("gru", "additive", False), ("lstm", "scaled_dot", True)],
)
def test_one_compiled_step_moves_every_weight(cell, attention, input_in_query):
    value, _ = given(attention)
    symbols = [
        keras.Input(array.shape[1:]) for array in (INPUTS, value, INITIAL)
    ]
    decoder = made(cell, attention, input_in_query, dtype="float32")
    model = keras.Model(symbols, decoder(*symbols))
    before = [array(w).copy() for w in model.trainable_variables]
    model.compile(
        keras.optimizers.SGD(1.0), ["mse", "mse"], jit_compile=JIT_COMPILE
    )
    targets = [DRAW(size=(2, 3, 7)), DRAW(size=(2, 3, 6))]
    model.fit([INPUTS, value, INITIAL], targets, verbose=0)
    for weight, old in zip(model.trainable_variables, before):
        assert np.abs(array(weight) - old).max() > 1e-5, weight.path


@pytest.mark.check("precision")
@few_kinds
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision(cell, attention, input_in_query, policy):
    decoder = made(cell, attention, input_in_query, dtype=policy)
    with record_attention() as scores:
        outputs = run(decoder, attention)
    exact = run(made(cell, attention, input_in_query), attention)
    for left, right in zip(outputs, exact):
        assert dtype_of(left) == policy.removeprefix("mixed_")
        assert_allclose(array(left, "float64"), right, atol=0.1)
    for row in scores.values():
        assert dtype_of(row) == "float32"
        assert_allclose(array(row).sum(axis=-1), 1, atol=1e-5)


@pytest.mark.check("saved")
@few_kinds
def test_config(cell, attention, input_in_query):
    decoder = made(cell, attention, input_in_query, dtype="float32")
    config = decoder.get_config()
    before = copy.deepcopy(config)
    for _ in range(2):
        again = AttentionDecoder.from_config(config)
        assert again.get_config() == before
        assert config == before


@pytest.mark.check("masks")
def test_a_source_without_tokens():
    decoder = made("gru", "additive", False)
    mask = np.array([[True] * 5, [False] * 5])
    with record_attention() as scores:
        states, contexts = decoder(INPUTS, VALUE, INITIAL, value_mask=mask)
    assert_array_equal(scores["decoder/look"][1], 0)
    assert_array_equal(contexts[1], 0)
    assert np.all(np.isfinite(array(states)))


@pytest.mark.check("bad input")
def test_dropout_of_the_attention_is_refused():
    # Attention layers drop weights; the loop of the decoder does not.
    attention = AdditiveAttention(units=8, dropout=0.5)
    with pytest.raises(ValueError, match=r"attention\.dropout=0\.5"):
        AttentionDecoder(7, attention=attention)


@pytest.mark.check("bad input")
@pytest.mark.parametrize(
    "attention",
    [
        layers.DotProductAttention(units=8, window_size=2),
        layers.LocalAttention(2),
        layers.MultiHeadAttention(2, 4, position=layers.RotaryEmbedding()),
        layers.MultiHeadAttention(2, 4, attention=layers.LocalAttention(2)),
    ],
    ids=lambda attention: attention.name,
)
def test_an_attention_that_needs_positions_is_refused(attention):
    with pytest.raises(ValueError, match=r"positions: .* Received: attention="):
        AttentionDecoder(7, attention=attention)


@pytest.mark.check("bad input")
def test_a_mask_that_is_not_boolean_is_refused():
    decoder = made("gru", "additive", False)
    with pytest.raises(ValueError, match="`value_mask` must be boolean"):
        decoder(INPUTS, VALUE, INITIAL, value_mask=np.ones((2, 5)))

import pathlib

import keras
import numpy as np
import pytest
from keras import ops

from layers import AdditiveAttention
from layers import record_attention
from layers.multi_head_attention import MultiHeadAttention
from layers.relative_position_bias import RelativePositionBias
from layers.rotary_embedding import RotaryEmbedding
from tests.layers.running import array
from tests.layers.running import assert_allclose
from tests.layers.running import assert_array_equal
from tests.layers.running import compiled
from tests.layers.running import each_jit
from tests.layers.running import outputs_and_gradients
from tests.layers.running import weighted_sum

GOLDEN = pathlib.Path(__file__).parent / "golden"

# B 2, T 3, S 5; query 7, key 11, value 13 wide; 4 heads of 6, values of 5.
DRAW = np.random.default_rng(0).normal
QUERY = DRAW(size=(2, 3, 7))
KEY = DRAW(size=(2, 5, 11))
VALUE = DRAW(size=(2, 5, 13))
MASK = np.array([[1, 1, 1, 1, 0], [1, 0, 1, 1, 1]], bool)


def made(*inputs, **options):
    """A layer of float64 whose weights all matter."""
    options = {"num_heads": 4, "key_dim": 6, "dtype": "float64", **options}
    layer = MultiHeadAttention(**options)
    layer(*inputs)
    for weight in layer.trainable_variables:
        weight.assign(0.5 * DRAW(size=weight.shape))
    return layer


def reference(layer, query, value, key, allowed):
    """The equations, one number at a time."""
    heads, groups = layer.num_heads, layer.groups
    weights = {
        weight.name: array(weight) for weight in layer.trainable_variables
    }

    def project(name, inputs, count):
        outputs = inputs @ weights[f"{name}_kernel"]
        outputs = outputs + weights.get(f"{name}_bias", 0.0)
        return outputs.reshape(*inputs.shape[:2], count, -1)

    query = project("query", query, heads)
    key, value = project("key", key, groups), project("value", value, groups)
    batch_size, length = query.shape[:2]
    scores = np.zeros((batch_size, heads, length, key.shape[1]))
    context = np.zeros((batch_size, length, heads, value.shape[-1]))
    for b, n, t in np.ndindex(batch_size, heads, length):
        group = n * groups // heads
        logits = key[b, :, group] @ query[b, t, n] / np.sqrt(query.shape[-1])
        row = np.exp(logits) * allowed[b, t]
        scores[b, n, t] = row / row.sum()
        context[b, t, n] = scores[b, n, t] @ value[b, :, group]
    outputs = context.reshape(batch_size, length, -1) @ weights["output_kernel"]
    return outputs + weights.get("output_bias", 0.0), scores


@pytest.mark.check("equation")
@pytest.mark.parametrize("use_bias", [False, True])
@pytest.mark.parametrize("groups", [None, 4, 2, 1])
def test_equals_the_equations(groups, use_bias):
    layer = made(
        QUERY,
        VALUE,
        KEY,
        num_key_value_heads=groups,
        value_dim=5,
        use_bias=use_bias,
        output_dim=9,
    )
    outputs, scores = layer(
        QUERY, VALUE, KEY, value_mask=MASK, return_attention_scores=True
    )
    assert outputs.shape == (2, 3, 9)
    allowed = MASK[:, None, :].repeat(3, axis=1)
    expected, weights = reference(layer, QUERY, VALUE, KEY, allowed)
    assert_allclose(outputs, expected, atol=1e-12)
    assert_allclose(scores, weights, atol=1e-12)


@pytest.mark.check("equation")
def test_parameters():
    layer = made(QUERY, VALUE, KEY, value_dim=5, num_key_value_heads=2)
    assert {weight.name: tuple(weight.shape) for weight in layer.weights} == {
        "query_kernel": (7, 24),
        "query_bias": (24,),
        "key_kernel": (11, 12),
        "key_bias": (12,),
        "value_kernel": (13, 10),
        "value_bias": (10,),
        "output_kernel": (20, 7),
        "output_bias": (7,),
    }


@pytest.mark.check("peer")
def test_equals_keras():
    ours = made(QUERY, VALUE, KEY, value_dim=5)
    theirs = keras.layers.MultiHeadAttention(
        num_heads=4, key_dim=6, value_dim=5, dtype="float64"
    )
    theirs.build(QUERY.shape, VALUE.shape, KEY.shape)
    names = ("query", "key", "value", "output")
    for name in names:
        dense = getattr(theirs, f"_{name}_dense")
        for kind in ("kernel", "bias"):
            weight = array(getattr(ours, f"{name}_{kind}"))
            getattr(dense, kind).assign(
                weight.reshape(getattr(dense, kind).shape)
            )
    pairs = DRAW(size=(2, 3, 5)) > -1.0
    expected, expected_scores = theirs(
        QUERY, VALUE, KEY, attention_mask=pairs, return_attention_scores=True
    )
    outputs, scores = ours(
        QUERY, VALUE, KEY, attention_mask=pairs, return_attention_scores=True
    )
    assert_allclose(outputs, expected, atol=1e-6)
    assert_allclose(scores, expected_scores, atol=1e-6)


@pytest.mark.check("peer")
def test_grouped_queries_equal_keras():
    states = DRAW(size=(2, 5, 24))
    ours = made(states, states, num_key_value_heads=2)
    theirs = keras.layers.GroupQueryAttention(
        head_dim=6, num_query_heads=4, num_key_value_heads=2, dtype="float64"
    )
    theirs(states, states)
    for name in ("query", "key", "value", "output"):
        dense = getattr(theirs, f"_{name}_dense")
        for kind in ("kernel", "bias"):
            weight = array(getattr(ours, f"{name}_{kind}"))
            getattr(dense, kind).assign(
                weight.reshape(getattr(dense, kind).shape)
            )
    expected = theirs(states, states)
    # On some backends Keras computes this in float32.
    assert_allclose(ours(states, states), expected, rtol=1e-5, atol=1e-5)


def test_an_attention_of_another_kind_in_every_head():
    attention = AdditiveAttention(units=3, dtype="float64", name="score")
    layer = made(QUERY, VALUE, KEY, attention=attention)
    pairs = DRAW(size=(2, 4, 3, 5)) > -1.0
    query_mask = np.array([[1, 1, 1], [1, 1, 0]], bool)
    with record_attention() as recorded:
        outputs, scores = layer(
            QUERY,
            VALUE,
            KEY,
            query_mask=query_mask,
            value_mask=MASK,
            attention_mask=pairs,
            return_attention_scores=True,
        )
    # It is one layer, which others can look into.
    assert len(recorded) == 1
    weights = {w.path.split("/", 1)[1]: array(w) for w in layer.weights}

    def project(name, inputs):
        outputs = inputs @ weights[f"{name}_kernel"] + weights[f"{name}_bias"]
        return outputs.reshape(2, -1, 4, 6)

    query, key = project("query", QUERY), project("key", KEY)
    value = project("value", VALUE)
    allowed = pairs & MASK[:, None, None, :] & query_mask[:, None, :, None]
    context = np.zeros((2, 3, 4, 6))
    for b, n, t in np.ndindex(2, 4, 3):
        hidden = np.tanh(
            query[b, t, n] @ weights["score/query_kernel"]
            + key[b, :, n] @ weights["score/key_kernel"]
        )
        logits = (hidden @ weights["score/score_kernel"])[:, 0]
        row = np.exp(logits) * allowed[b, n, t]
        row = row / max(row.sum(), 1e-30)
        assert_allclose(scores[b, n, t], row, atol=1e-12)
        context[b, t, n] = row @ value[b, :, n]
    expected = context.reshape(2, 3, 24) @ weights["output_kernel"]
    assert_allclose(outputs, expected + weights["output_bias"], atol=1e-12)


POSITIONS = {
    "none": lambda: None,
    "rotary": lambda: RotaryEmbedding(dtype="float64"),
    "relative": lambda: RelativePositionBias(4, dtype="float64"),
}


@pytest.mark.check("cache")
@pytest.mark.parametrize("capacity", [None, 6, 8])
@pytest.mark.parametrize("window_size", [None, 2])
@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("groups", [4, 1])
def test_one_step_at_a_time(groups, position, window_size, capacity):
    states = DRAW(size=(2, 6, 7))
    layer = made(
        states,
        states,
        num_key_value_heads=groups,
        position=POSITIONS[position](),
        window_size=window_size,
    )
    whole, scores = layer(
        states, states, use_causal_mask=True, return_attention_scores=True
    )
    memory = layer.project(states[:, :2], capacity=capacity)
    rows = [array(layer.attend(states[:, :2], memory, use_causal_mask=True))]
    # One token, then two, then one.
    for first, last in ((2, 3), (3, 5), (5, 6)):
        before = dict(memory)
        memory = layer.append(memory, states[:, first:last])
        row, own = layer.attend(
            states[:, first:last],
            memory,
            use_causal_mask=True,
            return_attention_scores=True,
        )
        rows.append(array(row))
        assert_allclose(
            own[..., :last], scores[:, :, first:last, :last], atol=1e-12
        )
        assert_array_equal(own[..., last:], 0)
        assert before is not memory
    assert_allclose(np.concatenate(rows, axis=1), whole, atol=1e-12)


@pytest.mark.check("cache")
@pytest.mark.tensorflow
@each_jit
def test_a_cache_in_a_loop(jit):
    import tensorflow as tf

    states = tf.constant(DRAW(size=(2, 6, 7)))
    layer = made(states, states, position=RotaryEmbedding(dtype="float64"))
    whole = layer(states, states, use_causal_mask=True)

    def decode(states):
        memory = layer.project(states[:, :0], capacity=6)
        outputs = tf.zeros((6, 2, 7), "float64")

        def step(index, memory, outputs):
            token = tf.gather(states, [index], axis=1)
            memory = layer.append(memory, token)
            row = layer.attend(token, memory, use_causal_mask=True)
            outputs = tf.tensor_scatter_nd_update(
                outputs, [[index]], tf.transpose(row, (1, 0, 2))
            )
            return index + 1, memory, outputs

        return tf.while_loop(
            lambda index, *_: index < 6, step, (0, memory, outputs)
        )[2]

    outputs = compiled(decode, jit)(states)
    assert_allclose(outputs, tf.transpose(whole, (1, 0, 2)), atol=1e-12)


@pytest.mark.check("cache")
@each_jit
def test_a_cache_in_a_graph(jit):
    """As a decoder's loop has it: each step is the same graph."""
    states = DRAW(size=(2, 6, 7))
    layer = made(states, states, position=RotaryEmbedding(dtype="float64"))
    whole = layer(states, states, use_causal_mask=True)

    def step(token, memory):
        memory = layer.append(memory, token)
        return layer.attend(token, memory, use_causal_mask=True), memory

    step = compiled(step, jit)
    memory = layer.project(ops.convert_to_tensor(states[:, :0]), capacity=6)
    for place in range(6):
        row, memory = step(
            ops.convert_to_tensor(states[:, place : place + 1]), memory
        )
        assert_allclose(row[:, 0], whole[:, place], atol=1e-12)


@pytest.mark.check("cache")
def test_masks_of_a_cache():
    states = DRAW(size=(2, 5, 7))
    layer = made(states, states)
    whole = layer(states[:, 4:], states, value_mask=MASK)
    for capacity in (None, 9):
        memory = layer.project(
            states[:, :3], value_mask=MASK[:, :3], capacity=capacity
        )
        memory = layer.append(memory, states[:, 3:], value_mask=MASK[:, 3:])
        assert_allclose(layer.attend(states[:, 4:], memory), whole, atol=1e-12)


@pytest.mark.check("bad input")
def test_a_full_cache_is_refused():
    states = DRAW(size=(2, 5, 7))
    layer = made(states, states)
    with pytest.raises(ValueError, match="capacity=4, key_length=5"):
        layer.project(states, capacity=4)
    memory = layer.project(states, capacity=6)
    memory = layer.append(memory, states[:, :1])
    message = r"capacity 6 is full\. Received: length=6, new_length=1"
    with pytest.raises(ValueError, match=message):
        layer.append(memory, states[:, :1])


@pytest.mark.check("saved")
@pytest.mark.parametrize("position", POSITIONS)
def test_file(position, tmp_path):
    states = keras.Input((5, 7))
    layer = MultiHeadAttention(
        4,
        6,
        position=POSITIONS[position](),
        num_key_value_heads=2 if position != "relative" else 4,
        dtype="float64",
    )
    model = keras.Model(states, layer(states, states))
    for weight in model.trainable_variables:
        weight.assign(0.5 * DRAW(size=weight.shape))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    inputs = DRAW(size=(2, 5, 7))
    assert_array_equal(model(inputs), loaded(inputs))


@pytest.mark.check("equation")
def test_positions_matter():
    # Without a position the order of the keys is nothing.
    states = DRAW(size=(1, 5, 7))
    turned = states[:, ::-1]
    for position, same in (
        ("none", True),
        ("rotary", False),
        ("relative", False),
    ):
        layer = made(states, states, position=POSITIONS[position]())
        first, last = layer(states, states), layer(turned, turned)
        close = np.allclose(array(first), array(last)[:, ::-1], atol=1e-9)
        assert close == same


@pytest.mark.check("bad input")
@pytest.mark.parametrize(
    "options, message",
    [
        ({"num_heads": 0}, "num_heads=0"),
        ({"key_dim": 1.5}, "key_dim=1.5"),
        ({"value_dim": -1}, "value_dim=-1"),
        ({"output_dim": 0}, "output_dim=0"),
        (
            {"num_key_value_heads": 3},
            "num_key_value_heads=3, num_heads=4",
        ),
        ({"window_size": -1}, "window_size=-1"),
        (
            {"attention": AdditiveAttention(3), "dropout": 0.1},
            "`dropout` is that of `attention`.*dropout=0.1",
        ),
        (
            {"attention": AdditiveAttention(3), "window_size": 2},
            "window_size=2",
        ),
        (
            {"position": RelativePositionBias(4), "blockwise": True},
            "blockwise=True",
        ),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        MultiHeadAttention(**{"num_heads": 4, "key_dim": 6, **options})


@pytest.mark.check("peer")
def test_equals_torch():
    with np.load(GOLDEN / "torch.npz") as file:
        torch = {
            name.removeprefix("multi_head/"): file[name]
            for name in file.files
            if name.startswith("multi_head/")
        }
    inputs = [torch[name] for name in ("query", "value", "key")]
    layer = made(*inputs, num_heads=4, key_dim=3)
    for weight in layer.weights:
        weight.assign(torch[weight.name])

    def call(query, value, key):
        outputs, scores = layer(
            query,
            value,
            key,
            value_mask=torch["mask"],
            return_attention_scores=True,
        )
        return weighted_sum(outputs, torch["direction"]), (outputs, scores)

    (outputs, scores), *found = outputs_and_gradients(
        call, inputs, [layer.query_kernel, layer.output_kernel]
    )
    assert_allclose(outputs, torch["outputs"], atol=1e-12)
    assert_allclose(scores, torch["scores"], atol=1e-12)
    names = ("query", "value", "key", "query_kernel", "output_kernel")
    for name, gradient in zip(names, [*found[0], *found[1]]):
        assert_allclose(gradient, torch[f"{name}_gradient"], atol=1e-12)

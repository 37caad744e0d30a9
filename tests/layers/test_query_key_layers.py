"""What holds for every layer with a query, a key and a value."""

import copy
import inspect
import json

import keras
import numpy as np
import pytest
from keras import ops

import layers
from layers import _attention_path
from tests.layers.running import array
from tests.layers.running import arrays
from tests.layers.running import assert_allclose
from tests.layers.running import assert_array_equal
from tests.layers.running import compiled
from tests.layers.running import dtype_of
from tests.layers.running import gradients
from tests.layers.running import graphs
from tests.layers.running import JIT
from tests.layers.running import JIT_COMPILE
from tests.layers.running import mask_of
from tests.layers.running import outputs_and_gradients
from tests.layers.running import weighted_sum

POLICIES = ("mixed_bfloat16", "mixed_float16", "float16", "bfloat16")


def both(layer, query, value, key, **options):
    """Context and scores as arrays."""
    return arrays(
        layer(query, value, key, return_attention_scores=True, **options)
    )


def uneven(layer):
    """Weights of ordinary size in place of zeros and small numbers."""
    draw = np.random.default_rng(7).normal
    for weight in layer.trainable_variables:
        weight.assign(draw(scale=0.5, size=weight.shape))
    return layer


def made(case, **more):
    """The layer of a case, built, with weights that all matter."""
    layer = case.make(**more)
    layer(*case.inputs())
    return uneven(layer)


def assert_sums(case, scores, tolerance):
    """Rows with an allowed key sum to 1, or to less where the layer says so,
    in the heads that the query uses."""
    sums = array(scores).sum(axis=-1)
    if case.heads_per_query is not None:
        sums = np.sort(sums, axis=1)
        unused = case.num_heads - case.heads_per_query
        assert not sums[:, :unused].any()
        sums = sums[:, unused:]
    if case.sums_to_one:
        assert_allclose(sums, np.ones_like(sums), atol=tolerance)
    else:
        assert np.all((sums > 0.01) & (sums < 1))


def seen(scores):
    """Which keys each query sees `(B, T, S)`, in all the heads it uses."""
    visible = array(scores) > 0
    used = visible.any(axis=-1, keepdims=True)
    return (visible | ~used).all(axis=1) & used.any(axis=1)


def test_no_layer_is_missing(cases):
    found = set()
    for name in layers.__all__:
        function = getattr(getattr(layers, name), "call", None)
        if function is not None:
            first = list(inspect.signature(function).parameters)[1:4]
            if first == ["query", "value", "key"]:
                found.add(name)
    assert {case.layer.__name__ for case in cases} == found
    assert found >= {"AdditiveAttention", "MultiHeadAttention"}


def test_call_is_the_same_for_all(case):
    parameters = inspect.signature(case.layer.call).parameters
    assert {
        name: parameter.default for name, parameter in parameters.items()
    } == {
        "self": inspect.Parameter.empty,
        "query": inspect.Parameter.empty,
        "value": inspect.Parameter.empty,
        "key": None,
        "query_mask": None,
        "value_mask": None,
        "key_mask": None,
        "attention_mask": None,
        "use_causal_mask": False,
        "return_attention_scores": False,
        "training": None,
    }
    for name in ("query_mask", "return_attention_scores", "training"):
        assert parameters[name].kind is inspect.Parameter.KEYWORD_ONLY


# Config, file and symbols.


@pytest.mark.check("saved")
def test_config(case):
    layer = case.make(dropout=0.25, seed=3, name="look", dtype="float64")
    config = layer.get_config()
    own = inspect.signature(case.layer.__init__).parameters
    names = set(own) - {"self", "kwargs"}
    keras_own = {"name", "trainable", "dtype"}
    assert set(config) == names | keras_own  # nothing derived
    for name, value in {**case.arguments, "dropout": 0.25, "seed": 3}.items():
        assert config[name] == value
    before = copy.deepcopy(config)
    assert case.layer.from_config(config).get_config() == before
    assert config == before
    assert json.loads(json.dumps(config)) == config


@pytest.mark.check("bad input")
def test_wrong_dropout(case):
    for dropout in (-0.1, 1.0, 1.5):
        message = rf"range \[0, 1\)\. Received: dropout={dropout}"
        with pytest.raises(ValueError, match=message):
            case.make(dropout=dropout)


@pytest.mark.check("saved")
def test_file(case, tmp_path):
    inputs = case.inputs()
    symbols = case.symbols()
    outputs = case.make(dropout=0.5)(
        *symbols, use_causal_mask=True, return_attention_scores=True
    )
    model = keras.Model(symbols, outputs)
    uneven(model)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    for expected, actual in zip(model(inputs), loaded(inputs)):
        assert_array_equal(expected, actual)


@pytest.mark.check("compiled")
@pytest.mark.parametrize(
    "query_length, key_length", [(3, 5), (None, 5), (3, None), (None, None)]
)
def test_symbolic_shapes(case, query_length, key_length):
    context, scores = case.make()(
        *case.symbols(query_length, key_length), return_attention_scores=True
    )
    assert context.shape == (None, query_length, case.context_dim)
    assert scores.shape == (None, case.num_heads, query_length, key_length)
    assert scores.dtype == "float32"


@pytest.mark.check("compiled")
def test_symbolic_shapes_of_a_batch(case):
    symbols = [keras.Input(batch_shape=array.shape) for array in case.inputs()]
    context, scores = case.make()(*symbols, return_attention_scores=True)
    assert context.shape == (2, 3, case.context_dim)
    assert scores.shape == (2, case.num_heads, 3, 5)


@pytest.mark.check("compiled")
def test_all_ways_to_run_agree(case):
    inputs = case.inputs()
    symbols = case.symbols(None, None)
    layer = case.make()
    options = {"use_causal_mask": True, "return_attention_scores": True}
    model = keras.Model(symbols, layer(*symbols, **options))
    uneven(model)
    expected = both(layer, *inputs, use_causal_mask=True)
    assert expected[0].shape == (2, 3, case.context_dim)
    assert expected[1].shape == (2, case.num_heads, 3, 5)

    def call(*arrays):
        return layer(*arrays, **options)

    for run in (
        lambda *arrays: model(arrays),
        lambda *arrays: model.predict(arrays, verbose=0),
        *graphs(call, symbols),
    ):
        for left, right in zip(expected, run(*inputs)):
            assert_allclose(left, right, atol=2e-6)


# Training.


@pytest.mark.check("gradients")
def test_one_step_moves_every_weight(case):
    inputs = case.inputs()
    symbols = case.symbols()
    # A layer without weights has something to train before it.
    query = keras.layers.Dense(case.query_dim)(symbols[0])
    context = case.make(dropout=0.1)(query, *symbols[1:])
    model = keras.Model(symbols, context)
    uneven(model)
    before = [array(weight).copy() for weight in model.trainable_variables]
    optimizer = keras.optimizers.SGD(1.0)
    model.compile(optimizer, "mse", jit_compile=JIT_COMPILE)
    targets = np.random.default_rng(5).normal(size=(2, 3, case.context_dim))
    model.fit(inputs, targets, verbose=0)
    for weight, old in zip(model.trainable_variables, before):
        assert np.abs(array(weight) - old).max() > 1e-5, weight.path


@pytest.mark.check("gradients")
def test_every_weight_has_its_gradient(case, assert_gradients_match):
    layer = made(case, dtype="float64")
    query, value, key = (array.astype("f8") for array in case.inputs())
    draw = np.random.default_rng(5).normal
    direction = draw(size=(2, 3, case.context_dim))
    mask = np.array([[1, 1, 0, 1, 1], [1, 0, 1, 1, 0]], bool)

    def loss(query, value, key=key):
        context = layer(query, value, key, value_mask=mask)
        return weighted_sum(context, direction)

    weights = layer.trainable_variables
    assert bool(weights) == case.has_weights
    if case.heads_per_query is not None:
        # Its router divides by a sum that has no gradient, on purpose.
        query, weights = array(query), weights[1:]
        found = assert_gradients_match(
            lambda value, key: loss(query, value, key), weights, [value, key]
        )
        _, (router,) = gradients(
            lambda: loss(query, value), weights=layer.trainable_variables[:1]
        )
        found[1].append(router)
    else:
        tensors = [query, value, key] if case.uses_key else [query, value]
        found = assert_gradients_match(loss, weights, tensors)
    sizes = [np.abs(gradient).max() for gradient in found[1]]
    # Rounding noise would be 1e-16 of the others.
    assert all(size > 1e-2 * max(sizes) for size in sizes)


@pytest.mark.check("blocks")
@pytest.mark.parametrize("use_causal_mask", [False, True])
def test_blocks_give_the_same(case_in_blocks, use_causal_mask, monkeypatch):
    # Blocks of 3 or fewer of the 7 queries.
    monkeypatch.setattr(_attention_path, "BLOCK_SIZE", 3 * 11)
    case, draw = case_in_blocks, np.random.default_rng(5).normal
    tensors = [tensor.astype("f8") for tensor in case.inputs(2, 7, 11)]
    direction = draw(size=(2, 7, case.context_dim))
    mask = np.arange(22).reshape(2, 11) % 4 > 0
    found = []
    for blockwise in (False, True):
        layer = made(case, dtype="float64", blockwise=blockwise)

        def train(*tensors, layer=layer):
            context = layer(
                *tensors, value_mask=mask, use_causal_mask=use_causal_mask
            )
            return weighted_sum(context, direction), context

        context, *both = outputs_and_gradients(
            train, tensors, layer.trainable_variables
        )
        found.append([context, *both[0], *both[1]])
    for plain, blocks in zip(*found):
        assert_allclose(blocks, plain, atol=1e-10)
        assert np.abs(plain).max() > 1e-4


# Scores.


@pytest.mark.check("precision")
@pytest.mark.parametrize("policy", POLICIES)
def test_scores_are_exact_under_every_policy(case, policy):
    layer = made(case, dtype=policy)
    query, value, key = case.inputs(key_length=199)
    context, scores = layer(query, value, key, return_attention_scores=True)
    assert dtype_of(scores) == "float32"
    assert dtype_of(context) == layer.compute_dtype
    assert scores.shape == (2, case.num_heads, 3, 199)
    assert_sums(case, scores, 1e-5)
    expected = both(made(case), query, value, key)[0]
    tolerance = 0.1 if "bfloat16" in policy else 0.02
    assert_allclose(array(context, "float32"), expected, atol=tolerance)


@pytest.mark.check("precision")
def test_float64(case):
    layer = made(case, dtype="float64")
    query, value, key = (array.astype("f8") for array in case.inputs())
    context, scores = both(layer, query, value, key)
    assert context.dtype == scores.dtype == "float64"
    assert_sums(case, scores, 1e-15)


@pytest.mark.check("scores")
@pytest.mark.parametrize(
    "jit, policy, training",
    [
        (None, "float32", False),
        (None, "float32", True),
        (JIT[0], "float32", True),
        (JIT[0], "mixed_bfloat16", False),
        (JIT_COMPILE, "float32", False),
    ],
)
def test_asking_for_scores_changes_nothing(case, jit, policy, training):
    inputs = case.inputs()
    mask = np.array([[1, 1, 0, 1, 1], [1, 0, 1, 1, 0]], bool)
    contexts = []
    for asked in (False, True):
        layer = made(case, dtype=policy, dropout=0.4, seed=5)
        if training:
            layer.seed_generator.state.assign([0, 5])

        def call(*arrays, layer=layer, asked=asked):
            return layer(
                *arrays,
                value_mask=mask,
                training=training,
                return_attention_scores=asked,
            )

        outputs = compiled(call, jit)(*inputs)
        contexts.append(outputs[0] if asked else outputs)
    assert_array_equal(*(array(context, "float32") for context in contexts))


def bare(case, **options):
    """A layer whose context, of unit vectors, shows its weights."""
    layer = case.make(**case.bare, **options)
    query, _, key = case.inputs()
    layer(query, UNITS, key)
    uneven(layer)
    if case.bare:
        for weight in (layer.value_kernel, layer.output_kernel):
            rows, columns = weight.shape
            unit = np.tile(np.eye(rows), (1, columns // rows))
            weight.assign(unit)
    return layer


UNITS = np.broadcast_to(np.eye(5, dtype="float32"), (2, 5, 5))


@pytest.mark.check("equation")
def test_dropout_in_training_only(case):
    query, _, key = case.inputs()
    layer, plain = bare(case, dropout=0.4, seed=3), bare(case)
    expected, expected_scores = both(plain, query, UNITS, key)
    for training in (None, False):
        context, scores = both(layer, query, UNITS, key, training=training)
        assert_array_equal(context, expected)
    there = expected != 0
    assert there.mean() == (case.heads_per_query or 1) / (
        case.num_heads if case.heads_per_query else 1
    )
    dropped = 0
    for _ in range(30):
        context, scores = both(layer, query, UNITS, key, training=True)
        assert_array_equal(scores, expected_scores)
        left = context != 0
        assert not (left & ~there).any()
        assert_allclose(context[left], expected[left] / 0.6, rtol=1e-5)
        dropped += 1 - left[there].mean()
    # 900 draws at least: three standard deviations are 0.05.
    assert 0.35 < dropped / 30 < 0.45


def test_dropout_follows_the_model_around_it(case):
    symbols = case.symbols()
    model = keras.Model(symbols, case.make(dropout=0.4)(*symbols))
    inputs = case.inputs()
    quiet = [array(model(inputs)) for _ in range(2)]
    loud = [array(model(inputs, training=True)) for _ in range(2)]
    assert_array_equal(*quiet)
    assert np.abs(loud[0] - quiet[0]).max() > 1e-3
    assert np.abs(loud[0] - loud[1]).max() > 1e-3


@pytest.mark.check("equation")
def test_same_seed_same_dropout(case):
    contexts = [
        both(made(case, dropout=0.4, seed=3), *case.inputs(), training=True)[0]
        for _ in range(2)
    ]
    assert_array_equal(*contexts)


# Keys, memory and masks.


def test_key_is_the_value_by_default(case):
    query, _, key = case.inputs()
    layer = case.make()
    assert_array_equal(layer(query, key), layer(query, key, key))


@pytest.mark.check("cache")
def test_call_is_project_and_attend(case):
    layer = made(case)
    query, value, key = case.inputs()
    value_mask = np.array([[1, 1, 0, 1, 1], [1, 0, 1, 1, 0]], bool)
    key_mask = np.array([[1, 0, 1, 1, 1], [1, 1, 1, 0, 1]], bool)
    memory = layer.project(value, key, value_mask=value_mask, key_mask=key_mask)
    options = {"use_causal_mask": True, "return_attention_scores": True}
    apart = layer.attend(ops.convert_to_tensor(query), memory, **options)
    whole = layer(
        query, value, key, value_mask=value_mask, key_mask=key_mask, **options
    )
    for left, right in zip(whole, apart):
        assert_array_equal(left, right)
    alone = layer.attend(ops.convert_to_tensor(query[:, 1:2]), memory)
    together = layer.attend(ops.convert_to_tensor(query), memory)
    assert_allclose(alone[:, 0], together[:, 1], atol=1e-6)


def test_a_call_leaves_nothing_on_the_layer(case):
    layer = made(case)
    before = dict(vars(layer))
    both(layer, *case.inputs(), use_causal_mask=True)
    assert vars(layer) == before


def embedded(ids, width):
    table = keras.layers.Embedding(
        9, width, mask_zero=True, embeddings_initializer="normal"
    )
    return table(ids)


QUERY_IDS = np.array([[4, 5, 0], [6, 0, 0]])
VALUE_IDS = np.array([[1, 2, 3, 4, 0], [5, 6, 7, 0, 0]])
KEY_IDS = np.array([[1, 0, 3, 4, 5], [5, 6, 7, 8, 0]])


@pytest.mark.check("masks")
def test_implicit_masks_reach_the_layer(case):
    layer = case.make()
    query = embedded(QUERY_IDS, case.query_dim)
    value = embedded(VALUE_IDS, case.value_dim)
    key = embedded(KEY_IDS, case.key_dim)
    context, scores = layer(query, value, key, return_attention_scores=True)
    explicit = both(
        layer,
        array(query),
        array(value),
        array(key),
        query_mask=QUERY_IDS != 0,
        value_mask=VALUE_IDS != 0,
        key_mask=KEY_IDS != 0,
    )
    assert_array_equal(context, explicit[0])
    assert_array_equal(scores, explicit[1])
    allowed = (
        (QUERY_IDS != 0)[:, :, None]
        & (VALUE_IDS != 0)[:, None, :]
        & (KEY_IDS != 0)[:, None, :]
    )
    assert_array_equal(seen(scores), allowed)
    # The masks of the inputs stay, and the output has that of the query.
    for tensor, ids in (
        (query, QUERY_IDS),
        (value, VALUE_IDS),
        (key, KEY_IDS),
        (context, QUERY_IDS),
    ):
        assert_array_equal(mask_of(tensor), ids != 0)


@pytest.mark.check("masks")
def test_implicit_masks_reach_the_layer_in_a_model(case):
    names = ("query", "value", "key")
    symbols = [keras.Input((None,), name=name) for name in names]
    widths = (case.query_dim, case.value_dim, case.key_dim)
    tensors = [embedded(*pair) for pair in zip(symbols, widths)]
    _, scores = case.make()(*tensors, return_attention_scores=True)
    model = keras.Model(symbols, scores)
    scores = model([QUERY_IDS, VALUE_IDS, KEY_IDS])
    allowed = (VALUE_IDS != 0) & (KEY_IDS != 0)
    expected = (QUERY_IDS != 0)[:, :, None] & allowed[:, None, :]
    assert_array_equal(seen(scores), expected)


@pytest.mark.check("bad input")
def test_a_mask_that_is_not_boolean_is_refused(case):
    layer = made(case)
    for name, shape in (
        ("query_mask", (2, 3)),
        ("value_mask", (2, 5)),
        ("key_mask", (2, 5)),
        ("attention_mask", (3, 5)),
    ):
        with pytest.raises(ValueError, match=f"`{name}` must be boolean"):
            layer(*case.inputs(), **{name: np.ones(shape, "float32")})


# Properties.


@pytest.mark.check("masks")
def test_padding_changes_nothing(case):
    layer = made(case)
    query, value, key = case.inputs()
    context, scores = both(layer, query, value, key)
    garbage = np.full((2, 4, 1), 1e4, "float32")
    longer = [
        np.concatenate([array, garbage.repeat(array.shape[-1], -1)], axis=1)
        for array in (value, key)
    ]
    mask = np.arange(9)[None, :].repeat(2, 0) < 5
    for name in ("value_mask", "key_mask"):
        padded, padded_scores = both(layer, query, *longer, **{name: mask})
        assert_allclose(padded, context, atol=1e-6)
        assert_allclose(padded_scores[..., :5], scores, atol=1e-6)
        assert_array_equal(padded_scores[..., 5:], 0)


@pytest.mark.check("equation")
def test_a_batch_equals_its_rows(case):
    layer = made(case)
    inputs = case.inputs(batch_size=3)
    context, scores = both(layer, *inputs)
    for row in range(3):
        alone = both(layer, *(array[row : row + 1] for array in inputs))
        assert_allclose(alone[0][0], context[row], atol=1e-6)
        assert_allclose(alone[1][0], scores[row], atol=1e-6)


@pytest.mark.check("masks")
def test_the_rank_of_a_mask_does_not_matter(case):
    layer = made(case)
    pairs = np.arange(15).reshape(3, 5) % 4 > 0
    results = [
        both(layer, *case.inputs(), attention_mask=mask)
        for mask in (
            pairs,
            np.tile(pairs, (2, 1, 1)),
            np.tile(pairs, (2, 1, 1, 1)),
        )
    ]
    assert_array_equal(seen(results[0][1]), np.tile(pairs, (2, 1, 1)))
    for context, scores in results[1:]:
        assert_array_equal(context, results[0][0])
        assert_array_equal(scores, results[0][1])


@pytest.mark.check("masks")
def test_masks_are_joined_by_and(case):
    layer = made(case)
    query_mask = np.array([[1, 1, 1], [1, 1, 0]], bool)
    value_mask = np.array([[1, 1, 0, 1, 1], [1, 0, 1, 1, 1]], bool)
    key_mask = np.array([[0, 1, 1, 1, 1], [1, 1, 1, 0, 1]], bool)
    pairs = np.arange(15).reshape(3, 5) % 4 < 3
    joined = (
        query_mask[:, :, None]
        & value_mask[:, None, :]
        & key_mask[:, None, :]
        & pairs
        & np.tri(3, 5, k=2, dtype=bool)
    )
    one = both(layer, *case.inputs(), attention_mask=joined)
    many = both(
        layer,
        *case.inputs(),
        query_mask=query_mask,
        value_mask=value_mask,
        key_mask=key_mask,
        attention_mask=pairs,
        use_causal_mask=True,
    )
    assert_array_equal(seen(many[1]), joined)
    for left, right in zip(one, many):
        assert_array_equal(left, right)


@pytest.mark.check("masks")
def test_trimming_the_future_changes_nothing(case):
    layer = made(case)
    query, value, key = case.inputs(query_length=5, key_length=5)
    whole, whole_scores = both(layer, query, value, key, use_causal_mask=True)
    for length in (1, 2, 4):
        context, scores = both(
            layer,
            *(array[:, :length] for array in (query, value, key)),
            use_causal_mask=True,
        )
        assert_allclose(context, whole[:, :length], atol=1e-6)
        assert_allclose(scores, whole_scores[:, :, :length, :length], atol=1e-6)
    # The newest query alone, as in decoding, sees all keys.
    context, _ = both(layer, query[:, -1:], value, key, use_causal_mask=True)
    assert_allclose(context, whole[:, -1:], rtol=1e-5, atol=1e-6)


@pytest.mark.check("masks")
@pytest.mark.parametrize(
    "mask",
    [
        {"value_mask": np.array([[1] * 5, [0] * 5], bool)},
        {"key_mask": np.array([[1] * 5, [0] * 5], bool)},
        {"query_mask": np.array([[1] * 3, [0] * 3], bool)},
        {"attention_mask": np.array([[[1] * 5] * 3, [[0] * 5] * 3], bool)},
    ],
    ids=lambda mask: next(iter(mask)),
)
@pytest.mark.parametrize("policy", ["float32", "float16"])
def test_a_query_without_keys_attends_to_nothing(case, mask, policy):
    layer = made(case, dtype=policy)

    def call(*inputs):
        context, scores = layer(*inputs, return_attention_scores=True, **mask)
        return ops.sum(context**2), (context, scores)

    inputs = [array.astype(layer.compute_dtype) for array in case.inputs()]
    (context, scores), found, of_weights = outputs_and_gradients(
        call, inputs, layer.trainable_variables
    )
    assert_array_equal(scores[1], np.zeros((case.num_heads, 3, 5)))
    assert_array_equal(context[1], np.zeros((3, case.context_dim)))
    assert_sums(case, scores[:1], 1e-6)
    for gradient in (*found, *of_weights):
        assert np.isfinite(gradient).all()
    for gradient, used in zip(found, (True, True, case.uses_key)):
        assert np.any(gradient[0]) == used
        assert not gradient[1].any()


@pytest.mark.check("masks")
def test_first_queries_stand_before_all_keys(case):
    query, value, key = case.inputs(query_length=5, key_length=3)
    context, scores = both(made(case), query, value, key, use_causal_mask=True)
    assert_array_equal(seen(scores)[0], np.tri(5, 3, k=-2, dtype=bool))
    assert_array_equal(context[:, :2], np.zeros((2, 2, case.context_dim)))

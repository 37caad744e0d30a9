import keras
import numpy as np
import pytest
from keras import ops

from layers.attention_pooling import AttentionPooling
from layers.recording import record_attention
from tests.layers.running import array
from tests.layers.running import arrays
from tests.layers.running import assert_allclose
from tests.layers.running import assert_array_equal
from tests.layers.running import compiled
from tests.layers.running import dtype_of
from tests.layers.running import each_jit
from tests.layers.running import graphs
from tests.layers.running import JIT
from tests.layers.running import mask_of
from tests.layers.running import outputs_and_gradients
from tests.layers.running import weighted_sum

# B 2, length 5, dim 7, 3 queries, 11 units.
DRAW = np.random.default_rng(0).normal
STATES = DRAW(size=(2, 5, 7))
MASK = np.array([[1, 1, 0, 1, 1], [1, 0, 1, 1, 0]], bool)
FORMS = {
    "vector": {},
    "scaled": {"num_queries": 3, "scale": True},
    "queries": {"num_queries": 3},
    "self_attentive": {"num_queries": 3, "units": 11},
    "one_self_attentive": {"units": 11, "scale": True},
}
each_form = pytest.mark.parametrize("form", FORMS)


def made(form, dtype="float64", **options):
    """A layer whose weights all matter."""
    layer = AttentionPooling(**{**FORMS[form], **options}, dtype=dtype)
    layer.build(STATES.shape)
    draw = np.random.default_rng(3).normal
    for weight in layer.trainable_variables:
        weight.assign(draw(scale=0.5, size=weight.shape))
    return layer


def both(layer, states=STATES, **options):
    outputs, scores = layer(states, return_attention_scores=True, **options)
    return array(outputs), array(scores)


def by_formula(layer, mask):
    """Scores `(B, Q, length)` and sums `(B, Q, dim)`, one at a time."""
    weights = {weight.name: array(weight) for weight in layer.weights}
    queries = weights["query_kernel"].T
    scores = np.zeros((2, len(queries), 5))
    outputs = np.zeros((2, len(queries), 7))
    for b, q in np.ndindex(2, len(queries)):
        exponentials = np.zeros(5)
        for s in range(5):
            state = STATES[b, s]
            if "kernel" in weights:
                state = np.tanh(state @ weights["kernel"])
            logit = state @ queries[q]
            if layer.scale:
                logit /= np.sqrt(len(state))
            exponentials[s] = mask[b, s] * np.exp(logit)
        scores[b, q] = exponentials / exponentials.sum()
        for s in range(5):
            outputs[b, q] += scores[b, q, s] * STATES[b, s]
    return scores, outputs


@pytest.mark.check("equation")
def test_one_vector_by_hand():
    # Powers of two: the query reads log 2 times the first feature.
    layer = AttentionPooling()
    states = np.array([[[0.0, 8.0], [1.0, 16.0], [3.0, 4.0]]], "float32")
    layer.build(states.shape)
    layer.set_weights([np.array([[np.log(2)], [0]])])
    outputs, scores = both(layer, states)
    assert outputs.shape == (1, 2) and scores.shape == (1, 1, 1, 3)
    assert_allclose(scores[0, 0, 0], [1 / 11, 2 / 11, 8 / 11], rtol=1e-5)
    assert_allclose(outputs[0], [26 / 11, 72 / 11], rtol=1e-5)


@pytest.mark.check("equation")
@each_form
@pytest.mark.parametrize("masked", [False, True])
def test_equals_the_formula(form, masked):
    layer = made(form)
    mask = MASK if masked else np.ones((2, 5), bool)
    expected_scores, expected = by_formula(layer, mask)
    outputs, scores = both(layer, mask=MASK if masked else None)
    assert_allclose(scores[:, 0], expected_scores, atol=1e-12)
    if layer.num_queries is None:
        expected = expected[:, 0]
    assert outputs.shape == expected.shape
    assert_allclose(outputs, expected, atol=1e-12)


def test_weights():
    def shapes(form):
        return [(w.name, w.shape) for w in made(form).weights]

    assert shapes("vector") == [("query_kernel", (7, 1))]
    assert shapes("queries") == [("query_kernel", (7, 3))]
    assert shapes("self_attentive") == [
        ("kernel", (7, 11)),
        ("query_kernel", (11, 3)),
    ]


def test_weights_of_one_shape_start_apart():
    layer = AttentionPooling(num_queries=7, units=7)
    layer.build((None, 5, 7))
    assert np.abs(np.subtract(*layer.get_weights())).max() > 1e-3


@pytest.mark.check("gradients")
@each_form
def test_gradients(form, assert_gradients_match):
    layer = made(form)
    direction = DRAW(size=layer(STATES).shape)
    assert_gradients_match(
        lambda: weighted_sum(layer(STATES, mask=MASK), direction),
        layer.trainable_variables,
    )


# The penalty.


def penalty_by_formula(scores, factor):
    distances = [rows @ rows.T - np.eye(len(rows)) for rows in scores[:, 0]]
    return factor * np.mean([(each**2).sum() for each in distances])


@pytest.mark.check("equation")
def test_penalty_by_hand():
    # A query of zeros weighs two states the same: |1/2 - 1|^2. Two of them
    # have products of 1/2 everywhere: four times that.
    for num_queries, expected in ((None, 0.25), (2, 1.0)):
        layer = AttentionPooling(num_queries, penalty=3.0)
        states = np.ones((2, 2, 7), "float32")
        layer.build(states.shape)
        layer.set_weights([np.zeros((7, num_queries or 1))])
        layer(states)
        assert_allclose(arrays(layer.losses), [3 * expected], rtol=1e-6)


@pytest.mark.check("equation")
@pytest.mark.parametrize("form", ["vector", "self_attentive"])
def test_penalty(form, assert_gradients_match):
    layer = made(form, penalty=0.3)
    for mask in (None, MASK):
        _, scores = both(layer, mask=mask)
        expected = penalty_by_formula(scores, 0.3)
        assert_allclose(arrays(layer.losses), [expected], rtol=1e-12)

    def loss():
        layer(STATES)
        return sum(layer.losses)

    assert_gradients_match(loss, layer.trainable_variables)
    plain = made(form)
    assert_array_equal(plain(STATES), layer(STATES))
    assert plain.losses == []


@pytest.mark.check("compiled")
@each_jit
def test_penalty_is_part_of_the_loss_of_a_model(jit):
    inputs = keras.Input((5, 7))
    layer = AttentionPooling(num_queries=3, penalty=0.3)
    model = keras.Model(inputs, layer(inputs))
    model.compile("sgd", "mse", jit_compile=jit)
    targets = np.zeros((2, 3, 7), "float32")
    outputs, scores = both(layer, STATES.astype("float32"))
    expected = np.mean(outputs**2) + penalty_by_formula(scores, 0.3)
    before = array(layer.query_kernel).copy()
    history = model.fit(STATES, targets, verbose=0)
    assert_allclose(history.history["loss"], [expected], rtol=1e-5)
    assert np.abs(array(layer.query_kernel) - before).max() > 1e-5


# Masks.


@pytest.mark.check("masks")
@each_form
def test_a_row_without_states_is_zero(form):
    layer = made(form)
    mask = np.array([[True] * 5, [False] * 5])

    def call(states):
        outputs, scores = layer(states, mask=mask, return_attention_scores=True)
        return ops.sum(outputs**2), (outputs, scores)

    (outputs, scores), (gradient,), _ = outputs_and_gradients(call, [STATES])
    assert not np.any(outputs[1]) and not np.any(scores[1])
    assert_allclose(np.sum(scores[0], axis=-1), 1)
    assert np.isfinite(gradient).all()
    assert gradient[0].any() and not gradient[1].any()


@pytest.mark.check("masks")
@each_form
def test_padding_changes_nothing(form):
    layer = made(form)
    outputs, scores = both(layer)
    longer = np.concatenate([STATES, np.full((2, 4, 7), 1e4)], axis=1)
    mask = np.arange(9)[None].repeat(2, 0) < 5
    padded, padded_scores = both(layer, longer, mask=mask)
    assert_allclose(padded, outputs, atol=1e-12)
    assert_allclose(padded_scores[..., :5], scores, atol=1e-12)
    assert not padded_scores[..., 5:].any()


@pytest.mark.check("masks")
def test_implicit_mask_ends_here():
    ids = np.array([[4, 5, 0, 6], [7, 0, 0, 0]])
    states = keras.layers.Embedding(9, 7, mask_zero=True)(ids)
    layer = AttentionPooling()
    outputs, scores = layer(states, return_attention_scores=True)
    assert_array_equal(array(scores)[:, 0, 0] > 0, ids != 0)
    assert mask_of(outputs) is None
    assert mask_of(states) is not None
    expected = layer(array(states), mask=ids != 0)
    assert_array_equal(outputs, expected)


# Config, file, ways to run, precision.


@pytest.mark.check("saved")
@each_form
def test_config(form):
    layer = made(form, dropout=0.25, seed=3, penalty=0.5, name="pool")
    config = layer.get_config()
    assert set(config) == {
        *("name", "trainable", "dtype", "num_queries", "units", "scale"),
        *("penalty", "dropout", "seed", "kernel_initializer"),
    }
    for name, value in {**FORMS[form], "dropout": 0.25, "seed": 3}.items():
        assert config[name] == value
    assert config["penalty"] == 0.5
    assert AttentionPooling.from_config(config).get_config() == config


@pytest.mark.check("compiled")
@each_form
def test_all_ways_to_run_agree(form, tmp_path):
    layer = made(form, dtype="float32", dropout=0.5)
    symbols = keras.Input((None, 7))
    mask = keras.Input((None,), dtype="bool")
    outputs = layer(symbols, mask=mask, return_attention_scores=True)
    model = keras.Model([symbols, mask], outputs)
    num_queries = layer.num_queries
    axes = () if num_queries is None else (num_queries,)
    assert outputs[0].shape == (None, *axes, 7)
    assert outputs[1].shape == (None, 1, num_queries or 1, None)
    assert dtype_of(outputs[1]) == "float32"
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    states = STATES.astype("float32")
    expected = both(layer, states, mask=MASK)
    assert expected[0].shape == (2, *axes, 7)
    assert expected[1].shape == (2, 1, num_queries or 1, 5)

    def call(states, mask):
        return layer(states, mask=mask, return_attention_scores=True)

    for run in (
        lambda *arrays: model(arrays),
        lambda *arrays: loaded(arrays),
        *graphs(call, [symbols, mask]),
    ):
        for left, right in zip(expected, run(states, MASK)):
            assert_allclose(left, right, atol=1e-6)


@pytest.mark.check("precision")
@each_form
@pytest.mark.parametrize(
    "policy", ["mixed_bfloat16", "mixed_float16", "float16", "bfloat16"]
)
def test_precision(form, policy):
    layer = made(form, dtype=policy, penalty=0.1)
    states = DRAW(size=(2, 301, 7))
    outputs, scores = layer(states, return_attention_scores=True)
    assert dtype_of(scores) == "float32"
    assert dtype_of(outputs) == layer.compute_dtype
    assert dtype_of(layer.losses[0]) == "float32"
    assert_allclose(array(scores).sum(axis=-1), 1, atol=1e-5)
    assert_allclose(
        ops.cast(outputs, "float64"), both(made(form), states)[0], atol=0.05
    )


# Scores, recording and dropout.


@pytest.mark.check("scores")
@pytest.mark.parametrize("jit", [None, *JIT])
def test_asking_for_scores_changes_nothing(jit):
    results = []
    for asked in (False, True):
        layer = made("self_attentive", dtype="float32", dropout=0.4, seed=5)
        layer.seed_generator.state.assign([0, 5])

        def call(states, layer=layer, asked=asked):
            return layer(
                states,
                mask=MASK,
                training=True,
                return_attention_scores=asked,
            )

        outputs = compiled(call, jit)(ops.convert_to_tensor(STATES, "float32"))
        results.append(outputs[0] if asked else outputs)
    assert_array_equal(*results)


@pytest.mark.check("scores")
def test_recording():
    layer = made("queries", name="pool")
    expected = both(layer, mask=MASK)
    with record_attention() as recorded:
        outputs = layer(STATES, mask=MASK)
    assert_array_equal(outputs, expected[0])
    assert list(recorded) == ["pool"]
    assert_array_equal(recorded["pool"], expected[1])


@pytest.mark.check("equation")
def test_dropout():
    # With unit vectors as states the output shows the weights.
    states = np.broadcast_to(np.eye(7), (40, 7, 7))
    layer = made("queries", dropout=0.4, seed=3)
    expected, expected_scores = both(made("queries"), states)
    for training in (None, False):
        assert_array_equal(layer(states, training=training), expected)
    outputs, scores = both(layer, states, training=True)
    assert_array_equal(scores, expected_scores)
    gone = outputs == 0
    assert_allclose(outputs[~gone], expected[~gone] / 0.6)
    # 840 draws: three standard deviations are 0.05.
    assert abs(gone.mean() - 0.4) < 0.05
    assert np.any(outputs != both(layer, states, training=True)[0])


@pytest.mark.check("bad input")
@pytest.mark.parametrize(
    "arguments, received",
    [
        ({"num_queries": 0}, "num_queries=0"),
        ({"dropout": 1.0}, "dropout=1.0"),
        ({"dropout": -0.1}, "dropout=-0.1"),
    ],
)
def test_bad_arguments(arguments, received):
    with pytest.raises(ValueError, match=f"Received: {received}"):
        AttentionPooling(**arguments)


@pytest.mark.check("bad input")
def test_bad_masks():
    with pytest.raises(ValueError, match="`mask` must be boolean"):
        made("vector")(STATES, mask=np.ones((2, 5)))
    with pytest.raises(ValueError, match=r"mask\.shape=\(2, 5, 1\)"):
        made("vector")(STATES, mask=np.ones((2, 5, 1), bool))

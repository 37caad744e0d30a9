import json
import math

import keras
import numpy as np
import pytest
from keras import ops

from layers.feed_forward import FeedForward
from tests.layers.running import array
from tests.layers.running import assert_allclose
from tests.layers.running import assert_array_equal
from tests.layers.running import dtype_of
from tests.layers.running import graphs
from tests.layers.running import JIT_COMPILE
from tests.layers.running import mask_of
from tests.layers.running import weighted_sum

# Widths 5 -> 7 -> 5 or 3; two samples of four rows.
SETTINGS = (
    {},
    {"gated": True},
    {"activation": "relu", "use_bias": False},
    {"activation": "silu", "gated": True, "use_bias": False},
    {"activation": "sigmoid", "gated": True, "output_dim": 3},
    {"activation": None, "gated": True},
    {"activation": "tanh", "output_dim": 3},
)
ACTIVATIONS = {
    "gelu": lambda x: x * (1 + math.erf(x / math.sqrt(2))) / 2,
    "relu": lambda x: max(x, 0),
    "silu": lambda x: x / (1 + math.exp(-x)),
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
    "tanh": math.tanh,
    None: lambda x: x,
}


def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def made(**options):
    layer = FeedForward(7, **options)
    layer.build((None, None, 5))
    for seed, weight in enumerate(layer.weights):
        weight.assign(draw(*weight.shape, seed=seed))
    return layer


def expected_of(layer, inputs, settings):
    """The equations, one position at a time."""
    weights = [array(weight, "float64") for weight in layer.weights]
    if settings.get("use_bias", True):
        first, first_bias, last, last_bias = weights
    else:
        first, last = weights
        first_bias, last_bias = np.zeros(first.shape[1]), 0
    activation = ACTIVATIONS[settings.get("activation", "gelu")]
    outputs = []
    for row in np.reshape(inputs, (-1, 5)):
        product = row @ first + first_bias
        hidden = np.array([activation(number) for number in product[:7]])
        if settings.get("gated"):
            hidden = hidden * product[7:]
        outputs.append(hidden @ last + last_bias)
    return np.reshape(outputs, (*inputs.shape[:-1], -1))


@pytest.fixture(params=SETTINGS, ids=str)
def settings(request):
    return request.param


@pytest.mark.check("equation")
def test_by_hand():
    # relu([1, 2] W_1) with W_1 = [[1, -1, 3], [1, 1, -2]] is
    # relu([3, 1, -1]) = [3, 1, 0], and [3, 1, 0] . [1, 10, 100] = 13.
    layer = FeedForward(3, activation="relu", use_bias=False, output_dim=1)
    layer.build((None, 2))
    first = np.array([[1, -1, 3], [1, 1, -2]])
    layer.set_weights([first, np.array([[1], [10], [100]])])
    assert_allclose(layer(np.array([[1.0, 2.0]])), [[13]])
    # As a gate: relu([3, 1]) * [5, 7] = [15, 7], and 15 + 70 = 85.
    gated = FeedForward(
        2, activation="relu", gated=True, use_bias=False, output_dim=1
    )
    gated.build((None, 1))
    first = np.array([[3, 1, 5, 7]])
    gated.set_weights([first, np.array([[1], [10]])])
    assert_allclose(gated(np.array([[1.0]])), [[85]])


@pytest.mark.check("equation")
@pytest.mark.parametrize("shape", [(5,), (4, 5), (2, 4, 5), (2, 3, 4, 5)])
def test_equals_the_papers(settings, shape):
    inputs = draw(2, *shape)
    layer = made(**settings, dtype="float64")
    outputs = layer(inputs)
    assert outputs.shape == layer.compute_output_shape(inputs.shape)
    # TensorFlow rounds the square root of 2 in its GELU to float32.
    tolerance = 1e-12 if "activation" in settings else 1e-6
    assert_allclose(
        outputs, expected_of(layer, inputs, settings), atol=tolerance
    )


@pytest.mark.check("equation")
def test_gelu_is_the_exact_one():
    # The approximation with tanh differs by 2e-4 at 2.
    layer = FeedForward(1, use_bias=False, dtype="float64")
    layer.build((None, 1))
    layer.set_weights([np.ones((1, 1)), np.ones((1, 1))])
    expected = 1 + math.erf(math.sqrt(2))
    assert_allclose(layer(np.array([[2.0]])), [[expected]], rtol=1e-8)


def test_activation_may_be_a_function():
    inputs = draw(2, 4, 5)
    given, named = (
        made(activation=activation, dtype="float64")
        for activation in (keras.activations.tanh, "tanh")
    )
    assert_array_equal(given(inputs), named(inputs))
    assert given.get_config()["activation"] == "tanh"
    own = made(activation=lambda x: 2.0 * x, dtype="float64")
    linear = made(activation=None, dtype="float64")
    difference = 2 * linear(inputs) - own(inputs)
    assert_allclose(
        difference - own.output_projection.bias, np.zeros((2, 4, 5)), atol=1e-12
    )


@pytest.mark.check("compiled")
def test_all_ways_to_run_agree(settings):
    layer = made(**settings)
    symbols = keras.Input((None, 5))
    outputs = layer(symbols)
    assert outputs.shape == (None, None, settings.get("output_dim", 5))
    model = keras.Model(symbols, outputs)
    inputs = draw(2, 4, 5).astype("float32")
    expected = expected_of(layer, inputs, settings)
    for run in (
        layer,
        model,
        lambda inputs: model.predict(inputs, verbose=0),
        *graphs(layer, [symbols]),
    ):
        assert_allclose(run(inputs), expected, atol=5e-5)


def test_weights():
    names = [
        *("hidden_projection/kernel", "hidden_projection/bias"),
        *("output_projection/kernel", "output_projection/bias"),
    ]
    layer = made(gated=True, output_dim=3, name="mlp")
    assert [(weight.path, weight.shape) for weight in layer.weights] == [
        (f"mlp/{name}", shape)
        for name, shape in zip(names, [(5, 14), (14,), (7, 3), (3,)])
    ]


def test_matrices_of_one_shape_start_apart():
    layer = FeedForward(5, kernel_initializer="random_normal")
    layer.build((None, 5))
    first, _, last, _ = layer.get_weights()
    assert np.abs(first - last).max() > 1e-3


@pytest.mark.check("gradients")
def test_gradients_equal_finite_differences(settings, assert_gradients_match):
    layer = made(**settings, dtype="float64")
    direction = draw(2, 4, settings.get("output_dim", 5), seed=9)
    assert_gradients_match(
        lambda inputs: weighted_sum(layer(inputs), direction),
        layer.weights,
        [draw(2, 4, 5)],
        smallest=0.1,
    )


@pytest.mark.check("precision")
@pytest.mark.parametrize(
    "policy, tolerance",
    [("mixed_bfloat16", 0.4), ("mixed_float16", 0.04), ("float16", 0.04)],
)
def test_precision(settings, policy, tolerance):
    layer = made(**settings, dtype=policy)
    inputs = draw(2, 4, 5)
    outputs = layer(inputs.astype("float32"))
    assert dtype_of(outputs) == layer.compute_dtype
    assert layer.output_projection.dtype_policy == layer.dtype_policy
    assert_allclose(
        array(outputs, "float64"),
        expected_of(layer, inputs, settings),
        atol=tolerance,
    )


@pytest.mark.check("gradients")
@pytest.mark.parametrize("gated", [False, True])
def test_a_fit_moves_every_weight(gated):
    layer = made(gated=gated, output_dim=3, dropout=0.1)
    before = layer.get_weights()
    symbols = keras.Input((None, 5))
    model = keras.Model(symbols, layer(symbols))
    model.compile(keras.optimizers.SGD(1e-2), "mse", jit_compile=JIT_COMPILE)
    inputs = draw(2, 4, 5)
    model.fit(inputs, np.zeros((2, 4, 3)), verbose=0)
    for old, new in zip(before, layer.get_weights()):
        assert np.abs(new - old).max() > 1e-5


def test_dropout_is_behind_the_activation():
    layer = made(
        dropout=0.4, seed=3, use_bias=False, output_dim=7, dtype="float64"
    )
    plain = made(use_bias=False, output_dim=7, dtype="float64")
    # With a unit matrix behind it the hidden layer is seen.
    for each in (layer, plain):
        each.output_projection.kernel.assign(np.eye(7))
    inputs = draw(20, 50, 5)
    expected = plain(inputs)
    for options in ({}, {"training": False}):
        assert_array_equal(layer(inputs, **options), expected)
    hidden = array(layer(inputs, training=True))
    gone = hidden == 0
    assert_allclose(hidden[~gone], array(expected)[~gone] / 0.6, rtol=1e-6)
    # 7,000 draws: three standard deviations are 0.018.
    assert abs(gone.mean() - 0.4) < 0.018
    again = array(layer(inputs, training=True))
    assert 0.3 < (gone != (again == 0)).mean() < 0.6


def test_dropout_follows_the_model_around_it():
    symbols = keras.Input((None, 5))
    model = keras.Model(symbols, made(dropout=0.4)(symbols))
    inputs = draw(2, 4, 5)
    quiet = [array(model(inputs)) for _ in range(2)]
    loud = [array(model(inputs, training=True)) for _ in range(2)]
    assert_array_equal(*quiet)
    assert np.abs(loud[0] - loud[1]).max() > 1e-3


@pytest.mark.check("equation")
def test_each_position_is_by_itself():
    layer, inputs = made(gated=True), draw(3, 4, 5).astype("float32")
    outputs = layer(inputs)
    for row in range(3):
        for place in range(4):
            alone = layer(inputs[row : row + 1, place : place + 1])
            assert_allclose(alone[0, 0], outputs[row, place], atol=2e-5)


@pytest.mark.check("saved")
def test_config(settings):
    given = {
        **settings,
        **{"dropout": 0.25, "seed": 3, "kernel_initializer": "he_normal"},
    }
    layer = FeedForward(7, name="mlp", **given)
    config = layer.get_config()
    own = {
        *("hidden_dim", "activation", "gated", "dropout", "use_bias"),
        *("output_dim", "seed", "kernel_initializer"),
    }
    assert set(config) == {"name", "trainable", "dtype", *own}
    initializer = config["kernel_initializer"]
    assert initializer["class_name"] == "HeNormal"
    given.pop("kernel_initializer")
    if settings.get("activation", "gelu") is None:
        given["activation"] = "linear"
    for name, value in {"hidden_dim": 7, **given}.items():
        assert config[name] == value
    assert FeedForward.from_config(config).get_config() == config
    assert json.loads(json.dumps(config)) == config
    # Building adds nothing.
    layer.build((None, None, 5))
    assert layer.get_config() == config


@pytest.mark.check("saved")
def test_file(settings, tmp_path):
    layer = made(**settings, dropout=0.5, seed=2)
    symbols = keras.Input((None, 5))
    model = keras.Model(symbols, layer(symbols))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    inputs = draw(2, 4, 5)
    for training in (False, True):
        assert_array_equal(
            model(inputs, training=training), loaded(inputs, training=training)
        )


@pytest.mark.check("masks")
def test_mask_stays():
    ids = np.array([[1, 2, 0], [3, 0, 0]])
    embedded = keras.layers.Embedding(4, 5, mask_zero=True)(ids)
    assert_array_equal(mask_of(made()(embedded)), ids != 0)


@pytest.mark.check("bad input")
def test_bad_input():
    for dropout in (-0.1, 1.0):
        message = rf"range \[0, 1\)\. Received: dropout={dropout}"
        with pytest.raises(ValueError, match=message):
            FeedForward(7, dropout=dropout)
    with pytest.raises(ValueError, match="expected min_ndim=2, found ndim=1"):
        FeedForward(7)(ops.zeros(5))

import json

import keras
import numpy as np
import pytest
from keras import ops

from layers._normalization import make_normalization
from tests.layers.running import array
from tests.layers.running import assert_allclose
from tests.layers.running import assert_array_equal
from tests.layers.running import dtype_of
from tests.layers.running import graphs
from tests.layers.running import mask_of
from tests.layers.running import weighted_sum

EPSILON = 1e-3
OF_SEQUENCES = ("layer", "rms", "batch", "group")
OF_FEATURE_MAPS = ("layer", "rms", "batch", "group", "instance")
BOTH = [
    *(("sequence", kind) for kind in OF_SEQUENCES),
    *(("feature_map", kind) for kind in OF_FEATURE_MAPS),
]
# Of sequences without the one whose samples and positions mix.
POSITIONWISE = ("layer", "rms", "group")
SHAPES = {"sequence": (2, 5, 6), "feature_map": (2, 3, 5, 6)}


def draw(*shape, seed=0):
    # Far from the mean 0 and the variance 1.
    return 3 + 2 * np.random.default_rng(seed).normal(size=shape)


def made(kind, axis_of="sequence", **options):
    """A layer for six features in three groups, with uneven weights."""
    options = {"epsilon": EPSILON, "num_groups": 3, **options}
    layer = make_normalization(kind, axis_of, **options)
    layer.build((None, *SHAPES[axis_of][1:]))
    for seed, weight in enumerate(layer.trainable_variables):
        weight.assign(draw(*weight.shape, seed=seed))
    return layer


def normalized(layer, inputs, axes, center=True):
    """The equation, with statistics over `axes`."""
    inputs = array(inputs, "float64")
    mean = inputs.mean(axes, keepdims=True) if center else 0
    variance = ((inputs - mean) ** 2).mean(axes, keepdims=True)
    outputs = (inputs - mean) / np.sqrt(variance + EPSILON)
    weights = [array(weight) for weight in layer.trainable_variables]
    outputs = outputs * weights[0].astype("float64")
    return outputs + weights[1].astype("float64") if center else outputs


def expected_of(layer, kind, axis_of, inputs):
    """Each kind by its definition."""
    inputs = array(inputs, "float64")
    if axis_of == "sequence":
        axes = {"layer": -1, "rms": -1, "batch": (0, 1), "group": -1}[kind]
    else:
        axes = {
            "layer": (1, 2, 3),
            "rms": (1, 2, 3),
            "batch": (0, 1, 2),
            "group": (1, 2, 3),
            "instance": (1, 2),
        }[kind]
    if kind != "group":
        return normalized(layer, inputs, axes, center=kind != "rms")
    outputs = np.zeros(inputs.shape)
    whole = [array(weight) for weight in layer.trainable_variables]
    for first in (0, 2, 4):
        features = slice(first, first + 2)
        part = inputs[..., features]
        mean = part.mean(axes, keepdims=True)
        variance = part.var(axes, keepdims=True)
        part = (part - mean) / np.sqrt(variance + EPSILON)
        outputs[..., features] = part * whole[0][features] + whole[1][features]
    return outputs


@pytest.fixture(params=BOTH, ids="-".join)
def which(request):
    return request.param


def test_four_normalizations_of_a_feature_map_by_hand():
    # Two pictures of one row, two columns and two channels. The mean is
    # taken away and the rest divided by the root of its mean square.
    inputs = np.array(
        [[[[0, 4], [2, 10]]], [[[-2, 1], [0, 5]]]],
        "float64",
    )
    expected = {
        # Channels: 0 2 -2 0, mean 0, variance 2; 4 10 1 5, mean 5,
        # variance (1 + 25 + 16 + 0) / 4 = 10.5.
        "batch": [
            [[[0, -1], [2, 5]]] / np.sqrt([2, 10.5]),
            [[[-2, -4], [0, 0]]] / np.sqrt([2, 10.5]),
        ],
        # Pictures: 0 4 2 10, mean 4, variance (16 + 0 + 4 + 36) / 4 = 14;
        # -2 1 0 5, mean 1, variance (9 + 0 + 1 + 16) / 4 = 6.5.
        "layer": [
            [[[-4, 0], [-2, 6]]] / np.sqrt(14),
            [[[-3, 0], [-1, 4]]] / np.sqrt(6.5),
        ],
        # A channel of a picture: two numbers become -1 and 1.
        "instance": [[[[-1, -1], [1, 1]]]] * 2,
        # One group is layer normalisation, two would be instance.
        "group": [
            [[[-4, 0], [-2, 6]]] / np.sqrt(14),
            [[[-3, 0], [-1, 4]]] / np.sqrt(6.5),
        ],
    }
    for kind, values in expected.items():
        layer = make_normalization(
            kind, "feature_map", epsilon=0, num_groups=1, dtype="float64"
        )
        assert_allclose(
            layer(inputs, training=True), np.stack(values), atol=1e-12
        )


def test_equals_the_definition(which):
    axis_of, kind = which
    layer = made(kind, axis_of, dtype="float64")
    inputs = draw(*SHAPES[axis_of], seed=9)
    outputs = layer(inputs, mask=None, training=True)
    expected = expected_of(layer, kind, axis_of, inputs)
    assert_allclose(outputs, expected, atol=1e-12)


def test_sequences_of_pictures_keep_their_positions_apart():
    # Any number of axes is a sequence: each position by itself.
    inputs = draw(2, 3, 5, 6)
    for kind in POSITIONWISE:
        layer = made(kind, dtype="float64")
        flat = array(layer(np.reshape(inputs, (2, 15, 6))))
        assert_allclose(
            layer(inputs), np.reshape(flat, inputs.shape), atol=1e-14
        )


def test_kinds_differ():
    inputs = draw(*SHAPES["feature_map"])
    outputs = [
        array(
            make_normalization(
                kind, "feature_map", num_groups=3, dtype="float64"
            )(inputs, training=True)
        )
        for kind in OF_FEATURE_MAPS
    ]
    for place, left in enumerate(outputs):
        for right in outputs[:place]:
            assert np.abs(left - right).max() > 0.1


def test_batch_statistics_in_training_and_moving_averages_at_inference():
    layer = made("batch", "feature_map", dtype="float64")
    # Before any training: mean 0 and variance 1.
    mean, variance = np.zeros(6), np.ones(6)
    gamma, beta = (array(weight) for weight in layer.trainable_variables)
    for step in range(4):
        batch = draw(*SHAPES["feature_map"], seed=step)
        assert_allclose(
            layer(batch, training=False),
            (batch - mean) / np.sqrt(variance + EPSILON) * gamma + beta,
            atol=1e-12,
        )
        expected = expected_of(layer, "batch", "feature_map", batch)
        outputs = layer(batch, training=True)
        assert_allclose(outputs, expected, atol=1e-12)
        mean = 0.99 * mean + 0.01 * batch.mean((0, 1, 2))
        variance = 0.99 * variance + 0.01 * batch.var((0, 1, 2))
    assert_allclose(array(layer.moving_mean), mean)
    assert_allclose(array(layer.moving_variance), variance)


def test_batch_statistics_leave_out_masked_positions():
    mask = np.array([[1, 1, 1, 0, 0], [1, 1, 0, 0, 0]], bool)
    inputs = draw(2, 5, 6)
    garbage = np.where(mask[:, :, None], inputs, 1e4)
    real = inputs[mask]
    gamma, beta = (
        array(weight) for weight in made("batch").trainable_variables
    )
    expected = (real - real.mean(0)) / np.sqrt(real.var(0) + EPSILON)
    implicit = ops.convert_to_tensor(garbage)
    implicit._keras_mask = ops.convert_to_tensor(mask)
    for given, options in ((garbage, {"mask": mask}), (implicit, {})):
        layer = made("batch", dtype="float64")
        outputs = layer(given, training=True, **options)
        assert_allclose(
            array(outputs)[mask], expected * gamma + beta, rtol=1e-5
        )
        assert_allclose(
            array(layer.moving_mean), 0.01 * real.mean(0), rtol=1e-6
        )


@pytest.mark.parametrize("kind", POSITIONWISE)
def test_the_future_cannot_leak(kind):
    layer = made(kind, causal=True)
    inputs = draw(2, 5, 6).astype("float32")
    for length in range(1, 5):
        changed = inputs.copy()
        changed[:, length:] = draw(2, 5 - length, 6, seed=length) * 100
        for future in (changed, inputs[:, :length]):
            assert_allclose(
                layer(future)[:, :length], layer(inputs)[:, :length], atol=2e-6
            )
        later = [array(layer(each))[:, length:] for each in (changed, inputs)]
        assert np.any(later[0] != later[1])


@pytest.mark.parametrize("kind", POSITIONWISE)
def test_a_mask_changes_nothing_and_stays(kind):
    layer = made(kind)
    ids = np.array([[1, 2, 0], [3, 0, 0]])
    embedded = keras.layers.Embedding(4, 6, mask_zero=True)(ids)
    outputs = layer(embedded, training=True)
    assert_array_equal(mask_of(outputs), ids != 0)
    assert_array_equal(
        outputs, layer(array(embedded), mask=ids != 0, training=False)
    )


def test_samples_are_apart(which):
    axis_of, kind = which
    inputs = draw(*SHAPES[axis_of]).astype("float32")
    layer = made(kind, axis_of)
    changed = np.concatenate([inputs[:1], 100 * inputs[1:]])
    same = np.array_equal(
        *(array(layer(each, training=True))[0] for each in (changed, inputs))
    )
    assert same == (kind != "batch")


def test_all_ways_to_run_agree(which):
    axis_of, kind = which
    shape = SHAPES[axis_of]
    layer = made(kind, axis_of)
    unknown = (*[None] * (len(shape) - 2), shape[-1])
    symbols = keras.Input(unknown)
    outputs = layer(symbols)
    assert outputs.shape == (None, *unknown)
    model = keras.Model(symbols, outputs)
    inputs = draw(*shape).astype("float32")
    expected = expected_of(layer, kind, axis_of, inputs)

    def train(inputs):
        return layer(inputs, training=True)

    signature = [keras.Input(unknown)]
    for run in (
        train,
        lambda inputs: model(inputs, training=True),
        *graphs(train, signature, variables=layer.non_trainable_variables),
    ):
        assert_allclose(run(inputs), expected, atol=2e-5)


@pytest.mark.parametrize(
    "policy", ["mixed_float16", "float16", "mixed_bfloat16", "bfloat16"]
)
def test_statistics_are_float32_under_every_policy(which, policy):
    axis_of, kind = which
    layer = made(kind, axis_of, dtype=policy)
    half = layer.compute_dtype
    # Squares of these overflow in float16, and differences of this size
    # vanish in a bfloat16 sum.
    inputs = np.random.default_rng(1).normal(size=SHAPES[axis_of]) + 30
    inputs = ops.cast(inputs * 1000, half)
    outputs = layer(inputs, training=True)
    assert dtype_of(outputs) == half
    expected = expected_of(layer, kind, axis_of, array(inputs))
    assert_allclose(
        array(outputs, "float64"),
        expected,
        rtol=2 ** (-8 if half == "bfloat16" else -11),
        atol=2e-3,
    )


def test_inputs_are_not_rounded_before_their_statistics():
    # In bfloat16 all of these would be 1000.
    inputs = 1000 + draw(2, 5, 6) / 10
    for kind in ("layer", "group"):
        layer = made(kind, dtype="mixed_bfloat16")
        outputs = array(layer(inputs.astype("float32")), "float64")
        expected = expected_of(layer, kind, "sequence", inputs)
        assert_allclose(outputs, expected, rtol=2**-8, atol=0.02)


def test_gradients_equal_finite_differences(which, assert_gradients_match):
    axis_of, kind = which
    layer = made(kind, axis_of, dtype="float64")
    inputs, direction = (draw(*SHAPES[axis_of], seed=seed) for seed in (0, 5))

    def loss(inputs):
        return weighted_sum(layer(inputs, training=True), direction)

    weights = layer.trainable_variables
    assert len(weights) == (1 if kind == "rms" else 2)
    assert_gradients_match(loss, weights, [inputs], smallest=0.1)


def test_weights(which):
    axis_of, kind = which
    names = ["gamma"] if kind == "rms" else ["gamma", "beta"]
    layer = made(kind, axis_of, name="norm", dtype="bfloat16")
    assert layer.name == "norm"
    assert layer.compute_dtype == "bfloat16"
    if kind == "batch":
        names += ["moving_mean", "moving_variance"]
    assert [(weight.name, weight.shape) for weight in layer.weights] == [
        (name, (6,)) for name in names
    ]


def test_config_and_file(which, tmp_path):
    axis_of, kind = which
    layer = made(kind, axis_of)
    config = layer.get_config()
    assert config["epsilon"] == EPSILON
    assert type(layer).from_config(config).get_config() == config
    assert json.loads(json.dumps(config)) == config
    if kind != "batch":
        own = {"num_groups", "across_positions", "center", "epsilon"}
        assert set(config) == {"name", "trainable", "dtype", *own}
    symbols = keras.Input(SHAPES[axis_of][1:])
    model = keras.Model(symbols, layer(symbols))
    inputs = draw(*SHAPES[axis_of])
    model(inputs, training=True)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert_array_equal(model(inputs), loaded(inputs))


def test_one_number_and_equal_numbers():
    # A variance of 0 is not divided by.
    for kind in OF_SEQUENCES:
        layer = make_normalization(kind, num_groups=1)
        outputs = layer(np.full((2, 3, 1), 5.0), training=True)
        wanted = 1 if kind == "rms" else 0
        assert_allclose(outputs, np.full((2, 3, 1), wanted))


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"kind": "spectral"}, "`kind` must be one of layer, .* kind=spectral"),
        ({"kind": "layer", "axis_of": "row"}, "`axis_of` one of .*=row"),
        ({"kind": "instance"}, "would mix .* kind=instance, axis_of=sequence"),
        ({"kind": "batch", "causal": True}, "causal .* kind=batch.*=True"),
        (
            {"kind": "group", "axis_of": "feature_map", "causal": True},
            "causal .* axis_of=feature_map, causal=True",
        ),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        make_normalization(**arguments)


def test_bad_input():
    for num_groups in (4, 0, -1):
        message = rf"must divide .* Received: num_groups={num_groups}, dim=6"
        with pytest.raises(ValueError, match=message):
            made("group", num_groups=num_groups)
    with pytest.raises(ValueError, match="expected ndim=4, found ndim=3"):
        make_normalization("instance", "feature_map")(draw(2, 5, 6))
    inputs = draw(2, 5, 6)
    with pytest.raises(ValueError, match="`mask` must be boolean"):
        made("batch")(inputs, mask=np.ones((2, 5)), training=True)
    with pytest.raises(ValueError, match="cannot leave out masked ones"):
        made("layer", "feature_map")(
            draw(*SHAPES["feature_map"]), mask=np.ones((2, 3, 5), bool)
        )

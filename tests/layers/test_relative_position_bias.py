import json
import math

import keras
import numpy as np
import pytest
from keras import ops

from layers.relative_position_bias import relative_position_bucket
from layers.relative_position_bias import RelativePositionBias
from tests.layers.running import array
from tests.layers.running import assert_allclose
from tests.layers.running import assert_array_equal
from tests.layers.running import BACKEND
from tests.layers.running import compiled
from tests.layers.running import dtype_of
from tests.layers.running import each_jit
from tests.layers.running import gradients
from tests.layers.running import weighted_sum

SMALL = {"num_buckets": 8, "max_distance": 16}
TABLE = np.random.default_rng(1).normal(size=(8, 3))


def paper_bucket(distance, num_buckets, max_distance, bidirectional):
    """Section 2.1 and the released code, one distance at a time."""
    first = 0
    if bidirectional:
        num_buckets //= 2
        first = num_buckets if distance > 0 else 0
        distance = abs(distance)
    else:
        distance = max(-distance, 0)
    exact = num_buckets // 2
    if distance < exact:
        return first + distance
    share = math.log(distance / exact) / math.log(max_distance / exact)
    # A border that is a whole number may come out a little below it.
    far = exact + int(share * (num_buckets - exact) + 1e-9)
    return first + min(far, num_buckets - 1)


def pairs(query_length, key_length, first_position, bidirectional=True):
    """The bias, one pair at a time."""
    bias = np.zeros((1, 3, query_length, key_length))
    for head, query, key in np.ndindex(3, query_length, key_length):
        distance = key - (first_position + query)
        bucket = paper_bucket(distance, 8, 16, bidirectional)
        bias[0, head, query, key] = TABLE[bucket, head]
    return bias


def made(**options):
    layer = RelativePositionBias(3, **{**SMALL, **options})
    layer.set_weights([TABLE])
    return layer


def buckets(distances, **options):
    distances = ops.convert_to_tensor(list(distances), dtype="int32")
    return array(relative_position_bucket(distances, **options)).tolist()


@pytest.mark.check("equation")
def test_buckets_by_hand():
    # 16 in each direction, 8 of them exact. From 8 on a bucket begins at
    # 8 * 16^(k/8) = 8 * sqrt(2)^k: 8, 11.3, 16, 22.6, 32, 45.3, 64, 90.5.
    firsts = [*range(9), 12, 16, 23, 32, 46, 64, 91]
    assert buckets([-first for first in firsts]) == list(range(16))
    lasts = [first - 1 for first in firsts[1:]] + [5000]
    assert buckets([-last for last in lasts]) == list(range(16))
    # Keys after the query have the upper half; a distance of 0 is not there.
    assert buckets(firsts[1:]) == list(range(17, 32))
    assert buckets(lasts[1:]) == list(range(17, 32))


@pytest.mark.check("equation")
def test_buckets_of_a_causal_layer_by_hand():
    # 16 exact ones, then 16 * 8^(k/16): 16, 18.2, 20.7, 23.6, 26.9, ...
    firsts = [*range(17), 19, 21, 24, 27, 31, 35, 40, 46, 52, 59, 67, 77]
    firsts += [87, 99, 113]
    options = {"bidirectional": False}
    assert buckets([-first for first in firsts], **options) == list(range(32))
    lasts = [first - 1 for first in firsts[1:]] + [5000]
    assert buckets([-last for last in lasts], **options) == list(range(32))
    assert buckets([1, 2, 50, 5000], **options) == [0, 0, 0, 0]


@pytest.mark.check("equation")
@pytest.mark.parametrize(
    "num_buckets, max_distance",
    [(32, 128), (8, 16), (8, 32), (4, 2), (4, 9), (64, 1000), (16, 6)],
)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_buckets_equal_the_paper(num_buckets, max_distance, bidirectional):
    if not bidirectional:
        num_buckets //= 2
    arguments = num_buckets, max_distance, bidirectional
    distances = range(-1200, 1201)
    assert buckets(
        distances,
        num_buckets=num_buckets,
        max_distance=max_distance,
        bidirectional=bidirectional,
    ) == [paper_bucket(distance, *arguments) for distance in distances]


@pytest.mark.check("equation")
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("lengths", [(5, 7), (7, 5), (1, 4), (4, 1), (40, 41)])
def test_each_pair_has_the_bias_of_its_bucket(lengths, bidirectional):
    layer = made(bidirectional=bidirectional)
    query_length, key_length = lengths
    assert_allclose(
        layer(query_length, key_length),
        pairs(*lengths, key_length - query_length, bidirectional),
        rtol=1e-6,
    )
    for first_position in (0, 3, -2):
        assert_allclose(
            layer(query_length, key_length, first_position=first_position),
            pairs(*lengths, first_position, bidirectional),
            rtol=1e-6,
        )


def test_one_query_of_a_step_has_its_row():
    layer = made(bidirectional=False)
    whole = array(layer(6, 6))
    for step in range(6):
        # Over the keys so far, and over a cache with room for six.
        row = layer(1, step + 1)
        assert_array_equal(row[:, :, 0], whole[:, :, step, : step + 1])
        row = layer(1, 6, first_position=ops.convert_to_tensor(step))
        assert_array_equal(row[:, :, 0], whole[:, :, step])


@pytest.mark.check("compiled")
@each_jit
def test_lengths_known_in_the_graph_only(jit):
    layer = made()

    def biases(scores, first_position):
        lengths = ops.shape(scores)
        return layer(*lengths), layer(*lengths, first_position=first_position)

    signature = [
        keras.Input(batch_shape=(None, None)),
        keras.Input(batch_shape=(), dtype="int32"),
    ]
    bias = compiled(biases, jit, signature)
    for lengths in ((5, 7), (7, 5), (1, 9)):
        ending, starting = bias(ops.zeros(lengths), 2)
        expected = pairs(*lengths, lengths[1] - lengths[0])
        assert_allclose(ending, expected, rtol=1e-6)
        assert_allclose(starting, pairs(*lengths, 2), rtol=1e-6)


def test_lengths_may_be_tensors():
    layer = made()
    for dtype in ("int32", "int64"):
        lengths = (
            ops.convert_to_tensor(5, dtype),
            ops.convert_to_tensor(7, dtype),
        )
        assert_allclose(layer(*lengths), pairs(5, 7, 2), rtol=1e-6)


@pytest.mark.check("compiled")
def test_symbolic_shape():
    scalar = keras.Input(batch_shape=(), dtype="int32")
    outputs = made()(scalar, scalar)
    assert outputs.shape == (1, 3, None, None)
    assert made()(5, scalar).shape == (1, 3, 5, None)
    model = keras.Model(scalar, outputs)
    assert_allclose(model(ops.convert_to_tensor(6)), pairs(6, 6, 0), rtol=1e-6)


def test_weights():
    layer = RelativePositionBias(3)
    (weight,) = layer.weights
    assert (weight.name, weight.shape) == ("bias", (32, 3))
    layer.build()
    assert layer.weights == [weight]


def test_layers_with_one_initializer_start_apart():
    initializer = keras.initializers.RandomNormal(stddev=2.0)
    first, second = (
        RelativePositionBias(50, num_buckets=40, initializer=initializer)
        for _ in range(2)
    )
    first, second = first.get_weights()[0], second.get_weights()[0]
    assert np.abs(first - second).max() > 1
    # 2,000 numbers: three standard errors are 0.1.
    assert abs(first.std() - 2) < 0.1


@pytest.mark.check("gradients")
@each_jit
def test_gradient_is_the_sum_over_the_bucket(jit):
    layer = made(dtype="float64")
    direction = np.random.default_rng(2).normal(size=(1, 3, 9, 11))

    _, [gradient] = gradients(
        lambda: weighted_sum(layer(9, 11, first_position=1), direction),
        weights=[layer.bias],
        jit=jit,
    )
    expected = np.zeros((8, 3))
    for head, query, key in np.ndindex(3, 9, 11):
        bucket = paper_bucket(key - (1 + query), 8, 16, True)
        expected[bucket, head] += direction[0, head, query, key]
    assert_allclose(gradient, expected, atol=1e-12)
    # No distance has the first bucket of the upper half.
    reached = np.delete(np.arange(8), 4)
    assert np.abs(expected[reached]).min() > 1e-2
    assert_array_equal(expected[4], 0)


@pytest.mark.check("precision")
@pytest.mark.parametrize(
    "policy, unit",
    [("mixed_bfloat16", 2**-8), ("float16", 2**-11), ("float64", 1e-15)],
)
def test_precision(policy, unit):
    layer = made(dtype=policy)
    # Far positions are whole numbers, never in half precision.
    bias = layer(5, 2049)
    assert dtype_of(bias) == layer.compute_dtype
    assert_allclose(array(bias, "float64"), pairs(5, 2049, 2044), rtol=unit)


@keras.saving.register_keras_serializable(package="tests")
class Biased(keras.layers.Layer):
    """Scores with a bias, as attention uses it."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.position_bias = RelativePositionBias(3, **SMALL)

    def call(self, scores):
        return scores + self.position_bias(*ops.shape(scores)[2:])


@pytest.mark.check("saved")
@each_jit
def test_in_a_model_and_its_file(tmp_path, jit):
    # A layer that says nothing of its shape is tried out, on JAX with lengths
    # that are symbols, which cannot be compared.
    lengths = (None, None) if BACKEND == "tensorflow" else (5, 7)
    symbols = keras.Input((3, *lengths))
    model = keras.Model(symbols, Biased()(symbols))
    model.set_weights([TABLE])
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    scores = np.random.default_rng(0).normal(size=(2, 3, 5, 7))
    scores = scores.astype("float32")
    for each in (model, loaded):
        assert_allclose(each(scores), scores + pairs(5, 7, 2), atol=1e-6)
    model.compile(keras.optimizers.SGD(1.0), "mse", jit_compile=jit)
    model.fit(scores, np.zeros(scores.shape), verbose=0)
    assert np.abs(model.get_weights()[0] - TABLE).max() > 1e-3


@pytest.mark.check("saved")
def test_config():
    layer = made(bidirectional=False, initializer="zeros", name="bias")
    config = layer.get_config()
    own = {
        *("num_heads", "num_buckets", "max_distance", "bidirectional"),
        "initializer",
    }
    assert set(config) == {"name", "trainable", "dtype", *own}
    assert [config["num_heads"], config["bidirectional"]] == [3, False]
    assert {name: config[name] for name in SMALL} == SMALL
    assert config["initializer"]["class_name"] == "Zeros"
    assert RelativePositionBias.from_config(config).get_config() == config
    assert json.loads(json.dumps(config)) == config


@pytest.mark.check("bad input")
@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"num_buckets": 2}, r"at least 4, .* Received: num_buckets=2"),
        ({"num_buckets": 31}, r"even if .* Received: num_buckets=31"),
        ({"num_buckets": 1, "bidirectional": False}, "at least 2, "),
        ({"max_distance": 8}, r"buckets, 8\. Received: max_distance=8"),
        (
            {"max_distance": 16, "bidirectional": False},
            r"buckets, 16\. Received: max_distance=16",
        ),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(ValueError, match=message):
        RelativePositionBias(3, **arguments)

import keras
import numpy as np
import pytest
from keras import ops

from layers import DotProductAttention
from layers.recording import record_attention
from layers.self_attention_2d import SelfAttention2D
from tests.layers.running import array
from tests.layers.running import assert_allclose
from tests.layers.running import assert_array_equal
from tests.layers.running import compiled
from tests.layers.running import dtype_of
from tests.layers.running import graphs
from tests.layers.running import JIT
from tests.layers.running import JIT_COMPILE
from tests.layers.running import outputs_and_gradients
from tests.layers.running import weighted_sum

# B 2, height 3, width 4, 7 channels, keys 5, values 6.
DRAW = np.random.default_rng(0).normal
MAPS = DRAW(size=(2, 3, 4, 7))
MASK = np.arange(24).reshape(2, 3, 4) % 5 > 0


def made(dtype="float64", **options):
    """A layer whose weights all matter, gamma too."""
    layer = SelfAttention2D(key_dim=5, value_dim=6, dtype=dtype, **options)
    layer.build(MAPS.shape)
    draw = np.random.default_rng(3).normal
    for weight in layer.trainable_variables:
        weight.assign(draw(scale=0.5, size=weight.shape))
    return layer


def both(layer, maps=MAPS, **options):
    outputs, scores = layer(maps, return_attention_scores=True, **options)
    return array(outputs), array(scores)


def by_formula(layer, mask):
    """Equations 1 to 3, one pair of positions at a time."""
    g, f, h, v, gamma = (array(weight) for weight in layer.weights)
    scores, outputs = np.zeros((2, 12, 12)), MAPS.copy()
    for b in range(2):
        places = list(np.ndindex(3, 4))
        for j, at in enumerate(places):
            if not mask[b][at]:
                continue
            weights = np.zeros(12)
            for i, other in enumerate(places):
                if mask[b][other]:
                    logit = (MAPS[b][other] @ f) @ (MAPS[b][at] @ g)
                    weights[i] = np.exp(logit)
            scores[b, j] = weights / weights.sum()
            summed = np.zeros(6)
            for i, other in enumerate(places):
                summed += scores[b, j, i] * (MAPS[b][other] @ h)
            outputs[b][at] += gamma * (summed @ v)
    return outputs, scores


@pytest.mark.check("blocks")
@pytest.mark.check("equation")
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("blockwise", [None, True])
def test_equals_the_paper(masked, blockwise):
    layer = made(blockwise=blockwise)
    mask = MASK if masked else np.ones_like(MASK)
    expected, expected_scores = by_formula(layer, mask)
    outputs, scores = both(layer, mask=MASK if masked else None)
    assert_allclose(scores[:, 0], expected_scores, atol=1e-12)
    assert_allclose(outputs, expected, atol=1e-12)
    assert np.abs(outputs - MAPS)[mask].min() > 1e-6


def test_a_new_layer_changes_nothing():
    layer = SelfAttention2D()
    outputs, scores = both(layer, MAPS.astype("float32"))
    assert_array_equal(outputs, MAPS.astype("float32"))
    assert np.ptp(scores) > 1e-3


def test_weights():
    layer = SelfAttention2D()
    layer.build((None, None, None, 24))
    assert [(weight.name, weight.shape) for weight in layer.weights] == [
        ("query_kernel", (24, 3)),
        ("key_kernel", (24, 3)),
        ("value_kernel", (24, 3)),
        ("output_kernel", (3, 24)),
        ("gamma", ()),
    ]
    queries, keys, values, _, gamma = layer.get_weights()
    assert gamma == 0
    assert np.abs(queries - keys).max() > 1e-3
    assert np.abs(keys - values).max() > 1e-3
    small = SelfAttention2D()
    small.build((None, 3, 4, 7))
    assert small.key_kernel.shape == small.value_kernel.shape == (7, 1)
    assert made().value_kernel.shape == (7, 6)


@pytest.mark.check("blocks")
@pytest.mark.check("gradients")
@pytest.mark.parametrize("blockwise", [False, True])
def test_gradients(blockwise, assert_gradients_match):
    layer = made(blockwise=blockwise)
    direction = DRAW(size=MAPS.shape)
    assert_gradients_match(
        lambda: weighted_sum(layer(MAPS, mask=MASK), direction),
        layer.trainable_variables,
    )


# A convolution is a special case of self-attention.


def shift_scores(height, width, down, right):
    """One-hot scores of the position at a fixed offset, `(P, P)`; a row of
    zeros where that lies outside."""
    scores = np.zeros((height, width, height, width))
    for y, x in np.ndindex(height, width):
        if 0 <= y + down < height and 0 <= x + right < width:
            scores[y, x, y + down, x + right] = 1
    return scores.reshape(height * width, height * width)


@pytest.mark.check("equation")
def test_one_hot_scores_shift_a_map():
    picture = np.arange(1, 7).reshape(2, 3)
    shifted = shift_scores(2, 3, 0, 1) @ picture.ravel()
    assert_array_equal(shifted.reshape(2, 3), [[2, 3, 0], [5, 6, 0]])


@pytest.mark.check("peer")
def test_a_sum_of_such_heads_is_a_convolution():
    """Nine heads, one for each offset of a 3 x 3 kernel, whose value and
    output matrices together are that slice of the kernel."""
    kernel = DRAW(size=(3, 3, 7, 5))
    expected = keras.ops.conv(MAPS, kernel, padding="same")
    places = MAPS.reshape(2, 12, 7)
    by_scores = np.zeros((2, 12, 5))
    by_layers = np.zeros((2, 12, 5))
    for row, column in np.ndindex(3, 3):
        scores = shift_scores(3, 4, row - 1, column - 1)
        by_scores += scores @ places @ kernel[row, column]
        # The same as attention: a query that may see one key gives it all
        # its weight, and one that may see none has a context of 0.
        by_layers += array(
            DotProductAttention(dtype="float64")(
                places,
                places @ kernel[row, column],
                places,
                attention_mask=scores > 0,
            )
        )
    for outputs in (by_scores, by_layers):
        assert_allclose(np.reshape(outputs, (2, 3, 4, 5)), expected, atol=1e-12)


# Masks.


@pytest.mark.check("masks")
def test_masked_positions_stay_and_are_not_seen():
    layer = made()
    outputs, scores = both(layer, mask=MASK)
    flat = MASK.reshape(2, 12)
    assert_array_equal(scores[:, 0] > 0, flat[:, :, None] & flat[:, None])
    assert_array_equal(outputs[~MASK], MAPS[~MASK])
    other = np.where(MASK[..., None], MAPS, 1e3)
    assert_allclose(
        both(layer, other, mask=MASK)[0][MASK], outputs[MASK], atol=1e-12
    )


@pytest.mark.check("masks")
def test_a_map_without_positions_stays():
    layer = made()
    mask = np.array([np.ones((3, 4), bool), np.zeros((3, 4), bool)])

    def call(maps):
        found = layer(maps, mask=mask, return_attention_scores=True)
        return ops.sum(found[0]), found

    (outputs, scores), [gradient], _ = outputs_and_gradients(call, [MAPS])
    assert_array_equal(outputs[1], MAPS[1])
    assert not np.any(scores[1])
    assert_array_equal(gradient[1], np.ones((3, 4, 7)))
    assert np.isfinite(gradient).all()


@pytest.mark.check("bad input")
def test_bad_masks():
    with pytest.raises(ValueError, match="`mask` must be boolean"):
        made()(MAPS, mask=np.ones((2, 3, 4)))
    with pytest.raises(ValueError, match=r"mask\.shape=\(2, 12\)"):
        made()(MAPS, mask=np.ones((2, 12), bool))


# Config, file, ways to run, precision.


@pytest.mark.check("saved")
def test_config():
    layer = made(dropout=0.25, seed=3, blockwise=False, name="look")
    config = layer.get_config()
    assert set(config) == {
        *("name", "trainable", "dtype", "key_dim", "value_dim", "blockwise"),
        *("dropout", "seed", "kernel_initializer"),
    }
    assert config["key_dim"] == 5 and config["value_dim"] == 6
    assert config["dropout"] == 0.25 and config["seed"] == 3
    assert config["blockwise"] is False
    assert SelfAttention2D.from_config(config).get_config() == config
    for dropout in (-0.1, 1.0):
        with pytest.raises(ValueError, match=f"Received: dropout={dropout}"):
            SelfAttention2D(dropout=dropout)


@pytest.mark.check("compiled")
@pytest.mark.parametrize("sizes", [(3, 4), (None, 4), (None, None)])
def test_symbolic_shapes(sizes):
    outputs, scores = made()(
        keras.Input((*sizes, 7)), return_attention_scores=True
    )
    length = 12 if None not in sizes else None
    assert outputs.shape == (None, *sizes, 7)
    assert scores.shape == (None, 1, length, length)
    assert outputs.dtype == scores.dtype == "float64"
    with pytest.raises(ValueError, match="`mask` must be boolean"):
        made()(keras.Input((*sizes, 7)), mask=keras.Input(sizes))
    _, scores = made("mixed_float16")(
        keras.Input((*sizes, 7)),
        mask=keras.Input(sizes, dtype="bool"),
        return_attention_scores=True,
    )
    assert scores.dtype == "float32"


@pytest.mark.check("compiled")
@pytest.mark.parametrize("blockwise", [None, True])
def test_all_ways_to_run_agree(blockwise, tmp_path):
    layer = made(dtype="float32", dropout=0.5, blockwise=blockwise)
    symbols = keras.Input((None, None, 7))
    mask = keras.Input((None, None), dtype="bool")
    outputs = layer(symbols, mask=mask, return_attention_scores=True)
    model = keras.Model([symbols, mask], outputs)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    maps = MAPS.astype("float32")
    expected = both(layer, maps, mask=MASK)
    assert expected[0].shape == (2, 3, 4, 7)
    assert expected[1].shape == (2, 1, 12, 12)

    def call(maps, mask):
        return layer(maps, mask=mask, return_attention_scores=True)

    signature = [
        keras.Input((None, None, 7)),
        keras.Input((None, None), dtype="bool"),
    ]
    for run in (
        lambda *arrays: model(arrays),
        lambda *arrays: loaded(arrays),
        *graphs(call, signature),
    ):
        for left, right in zip(expected, run(maps, MASK)):
            assert_allclose(left, right, atol=2e-6)


@pytest.mark.check("gradients")
def test_one_step_of_training_moves_every_weight():
    inputs = keras.Input((3, 4, 7))
    layer = made(dtype="float32", dropout=0.1)
    model = keras.Model(inputs, layer(inputs))
    model.compile(keras.optimizers.SGD(1.0), "mse", jit_compile=JIT_COMPILE)
    before = [array(weight) for weight in layer.trainable_variables]
    model.fit(MAPS, np.zeros_like(MAPS), verbose=0)
    for weight, old in zip(layer.trainable_variables, before):
        assert np.abs(array(weight) - old).max() > 1e-4, weight.path


@pytest.mark.check("precision")
@pytest.mark.parametrize(
    "policy", ["mixed_bfloat16", "mixed_float16", "float16", "bfloat16"]
)
def test_precision(policy):
    maps = DRAW(size=(2, 15, 16, 7))
    outputs, scores = made(policy)(maps, return_attention_scores=True)
    assert dtype_of(scores) == "float32"
    assert dtype_of(outputs) == keras.DTypePolicy(policy).compute_dtype
    assert_allclose(array(scores).sum(axis=-1), 1, atol=1e-5)
    tolerance = 0.1 if "bfloat16" in policy else 0.02
    assert_allclose(
        array(outputs, "float64"), both(made(), maps)[0], atol=tolerance
    )


# Scores, recording and dropout.


@pytest.mark.check("scores")
@pytest.mark.parametrize("jit", [None, *JIT])
@pytest.mark.parametrize("blockwise", [None, True])
def test_asking_for_scores_changes_nothing(jit, blockwise):
    results = []
    for asked in (False, True):
        layer = made("float32", dropout=0.4, seed=5, blockwise=blockwise)
        layer.seed_generator.state.assign([0, 5])

        def call(maps, layer=layer, asked=asked):
            return layer(
                maps,
                mask=MASK,
                training=True,
                return_attention_scores=asked,
            )

        run = compiled(call, jit, variables=layer.non_trainable_variables)
        outputs = run(ops.convert_to_tensor(MAPS, "float32"))
        results.append(outputs[0] if asked else outputs)
    assert_array_equal(*results)


@pytest.mark.check("scores")
def test_recording():
    layer = made(name="look")
    expected = both(layer, mask=MASK)
    before = dict(vars(layer))
    with record_attention() as recorded:
        outputs = layer(MAPS, mask=MASK)
    assert_array_equal(outputs, expected[0])
    assert list(recorded) == ["look"]
    assert_array_equal(recorded["look"], expected[1])
    assert vars(layer) == before


@pytest.mark.check("equation")
def test_dropout():
    # Unit vectors as values, passed on as they are, show the weights.
    maps = np.broadcast_to(np.eye(12).reshape(3, 4, 12), (20, 3, 4, 12))
    layers = []
    for dropout in (0.4, 0.0):
        layer = SelfAttention2D(12, dropout=dropout, seed=3, dtype="float64")
        layer.build(maps.shape)
        small = np.random.default_rng(3).normal(scale=0.1, size=(12, 12))
        layer.set_weights([small, *[np.eye(12)] * 3, np.ones(())])
        layers.append(layer)
    loud, plain = layers
    expected, expected_scores = both(plain, maps)
    for training in (None, False):
        assert_array_equal(loud(maps, training=training), expected)
    outputs, scores = both(loud, maps, training=True)
    assert_array_equal(scores, expected_scores)
    weights, expected = outputs - maps, expected - maps
    gone = weights == 0
    assert_allclose(weights[~gone], expected[~gone] / 0.6)
    # 2,880 draws: three standard deviations are 0.027.
    assert abs(gone.mean() - 0.4) < 0.027
    assert np.any(outputs != both(loud, maps, training=True)[0])

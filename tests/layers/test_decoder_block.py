import keras
import numpy as np
import pytest

from layers import record_attention
from layers.decoder_block import DecoderBlock
from layers.encoder_block import EncoderBlock
from layers.feed_forward import FeedForward
from layers.multi_head_attention import MultiHeadAttention
from tests.layers.running import array
from tests.layers.running import assert_allclose
from tests.layers.running import assert_array_equal
from tests.layers.running import dtype_of
from tests.layers.running import graphs
from tests.layers.running import JIT
from tests.layers.running import JIT_COMPILE
from tests.layers.running import weighted_sum
from tests.layers.transformer_blocks import decoder
from tests.layers.transformer_blocks import DRAW
from tests.layers.transformer_blocks import encoder
from tests.layers.transformer_blocks import INPUTS
from tests.layers.transformer_blocks import numpy_normalization
from tests.layers.transformer_blocks import VALUE
from tests.layers.transformer_blocks import VALUE_MASK


@pytest.mark.check("equation")
@pytest.mark.parametrize("normalize_first", [False, True])
def test_decoder_equals_the_equations(normalize_first):
    block = decoder(normalize_first=normalize_first)

    def attend(states):
        return block.self_attention(states, states, use_causal_mask=True)

    def look(states):
        return block.cross_attention(states, VALUE, value_mask=VALUE_MASK)

    states = INPUTS
    for name, branch in (
        ("self_attention", attend),
        ("cross_attention", look),
        ("feed_forward", block.feed_forward),
    ):
        norm = numpy_normalization(block, name)
        if normalize_first:
            states = states + array(branch(norm(states)))
        else:
            states = norm(states + array(branch(states)))
    outputs = block(INPUTS, VALUE, value_mask=VALUE_MASK)
    assert_allclose(outputs, states, atol=1e-10)


@pytest.mark.check("masks")
@pytest.mark.parametrize("normalization", ["layer", "rms", "group"])
def test_the_future_changes_nothing(normalization):
    other = INPUTS.copy()
    other[:, 3:] = 7.0
    for block, call in (
        (
            encoder(normalization=normalization, num_groups=4),
            {"use_causal_mask": True},
        ),
        (decoder(normalization=normalization, num_groups=4), {"value": VALUE}),
    ):
        first, second = (
            array(block(inputs, **call)) for inputs in (INPUTS, other)
        )
        assert_allclose(first[:, :3], second[:, :3], atol=1e-12)
        assert np.abs(first[:, 3:] - second[:, 3:]).max() > 0.1


@pytest.mark.check("cache")
@pytest.mark.parametrize("cross", [False, True])
@pytest.mark.parametrize("capacity", [None, 6])
def test_one_step_at_a_time(capacity, cross):
    block = decoder(cross)
    value = {"value": VALUE} if cross else {}
    masked = {"value_mask": VALUE_MASK} if cross else {}
    whole = block(INPUTS, **value, **masked)
    state = block.start(
        **value, **masked, capacity=capacity, batch_size=None if cross else 2
    )
    rows = []
    for first, last in ((0, 1), (1, 2), (2, 5)):
        row, state = block.step(INPUTS[:, first:last], state)
        rows.append(array(row))
    assert_allclose(np.concatenate(rows, 1), whole, atol=1e-12)


@pytest.mark.check("scores")
def test_attention_is_recorded_by_path():
    block = decoder()
    with record_attention() as scores:
        block(INPUTS, VALUE)
    assert {path: tuple(s.shape) for path, s in scores.items()} == {
        block.self_attention.path: (2, 2, 5, 5),
        block.cross_attention.path: (2, 2, 5, 3),
    }
    assert block.self_attention.path.endswith("/self")


@pytest.mark.check("saved")
@pytest.mark.parametrize(
    "policy, jit",
    [*(("float32", jit) for jit in JIT), ("mixed_bfloat16", JIT_COMPILE)],
)
def test_fitted_saved_and_loaded(policy, jit, tmp_path):
    keras.utils.set_random_seed(0)
    options = {"dtype": policy, "dropout": 0.1, "stochastic_depth": 0.1}
    source, target = keras.Input((3, 8)), keras.Input((5, 8))
    encoded = EncoderBlock(
        MultiHeadAttention(2, 4, dtype=policy),
        FeedForward(11, gated=True, dtype=policy),
        normalization="batch",
        **options,
    )(source)
    outputs = DecoderBlock(
        MultiHeadAttention(2, 4, dtype=policy),
        MultiHeadAttention(2, 4, dtype=policy),
        FeedForward(11, dtype=policy),
        seed=3,
        **options,
    )(target, encoded)
    model = keras.Model([source, target], outputs)
    before = [np.array(array(w)) for w in model.trainable_variables]
    model.compile(keras.optimizers.SGD(1.0), "mse", jit_compile=jit)
    inputs = [DRAW(size=(64, n, 8)).astype("f4") for n in (3, 5)]
    model.fit(inputs, DRAW(size=(64, 5, 8)), verbose=0)
    for weight, old in zip(model.trainable_variables, before):
        # Key biases change all logits of a row alike, so nothing.
        if not weight.path.endswith("key_bias"):
            assert np.abs(array(weight) - old).max() > 1e-6, weight.path
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    assert_array_equal(model(inputs), loaded(inputs))
    assert [w.path for w in loaded.weights] == [w.path for w in model.weights]


def keyless(block):
    """Its weights but for key biases, which change all logits of a row alike
    and so nothing."""
    return [
        weight
        for weight in block.trainable_variables
        if not weight.path.endswith("key_bias")
    ]


@pytest.mark.check("gradients")
@pytest.mark.parametrize("normalize_first", [False, True])
def test_gradients(normalize_first, assert_gradients_match):
    block = decoder(normalize_first=normalize_first)
    direction = DRAW(size=INPUTS.shape)
    assert_gradients_match(
        lambda inputs, value: weighted_sum(
            block(inputs, value, value_mask=VALUE_MASK), direction
        ),
        keyless(block),
        [INPUTS, VALUE],
        jit=JIT[0],
    )


@pytest.mark.check("precision")
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_precision(policy):
    block, wide = decoder(dtype=policy), decoder()
    block.set_weights(wide.get_weights())
    outputs = block(INPUTS, VALUE, value_mask=VALUE_MASK)
    assert dtype_of(outputs) == block.compute_dtype
    assert_allclose(
        array(outputs, "float64"),
        wide(INPUTS, VALUE, value_mask=VALUE_MASK),
        atol=0.15 if "bfloat16" in policy else 0.02,
    )


@pytest.mark.check("compiled")
def test_all_ways_to_run_agree():
    block = decoder(dtype="float32")
    symbols = [
        keras.Input((None, 8)),
        keras.Input((None, 7)),
        keras.Input((None,), dtype="bool"),
    ]

    def call(inputs, value, mask):
        return block(inputs, value, value_mask=mask)

    outputs = call(*symbols)
    assert outputs.shape == (None, None, 8)
    model = keras.Model(symbols, outputs)
    arrays = INPUTS.astype("f4"), VALUE.astype("f4"), VALUE_MASK
    expected = call(*arrays)
    for run in (lambda *arrays: model(arrays), *graphs(call, symbols)):
        assert_allclose(run(*arrays), expected, atol=1e-5)


@pytest.mark.check("saved")
def test_config():
    config = decoder(normalization="rms", dropout=0.25, seed=3).get_config()
    own = ("normalize_first", "normalization", "num_groups", "epsilon")
    own = {*own, "dropout", "stochastic_depth", "seed", *DecoderBlock.BRANCHES}
    assert set(config) == {"name", "trainable", "dtype", *own}
    assert (config["dropout"], config["normalization"]) == (0.25, "rms")
    assert DecoderBlock.from_config(config).get_config() == config


@pytest.mark.check("bad input")
def test_a_memory_is_needed_and_only_then():
    with pytest.raises(ValueError, match="`value` is needed"):
        decoder()(INPUTS)
    with pytest.raises(ValueError, match="only then"):
        decoder(cross=False)(INPUTS, VALUE)

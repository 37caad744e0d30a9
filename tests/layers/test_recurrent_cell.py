import keras
import numpy as np
import pytest

from layers import RecurrentCell
from tests.layers.running import array
from tests.layers.running import assert_allclose
from tests.layers.running import dtype_of
from tests.layers.running import gradients
from tests.layers.running import weighted_sum

# B 3, 5 input features, 7 units.
DRAW = np.random.default_rng(0).normal
INPUTS = DRAW(size=(3, 5))
STATES = [DRAW(size=(3, 7)), DRAW(size=(3, 7))]
KERNEL = 0.5 * DRAW(size=(5, 28))
RECURRENT_KERNEL = 0.5 * DRAW(size=(7, 28))
BIAS = 0.5 * DRAW(size=28)
CANDIDATE_BIAS = 0.5 * DRAW(size=7)
CELLS = ["gru", "lstm", "simple_rnn"]


def made(cell, **options):
    layer = RecurrentCell(7, cell=cell, dtype="float64", **options)
    layer.build((3, layer.input_dim))
    weights = [RECURRENT_KERNEL[:, : layer.input_dim]]
    layer.set_weights([*weights, CANDIDATE_BIAS][: len(layer.weights)])
    return layer


def step(layer):
    """One step of ours, the inputs projected outside as it asks for."""
    width = layer.input_dim
    projected = INPUTS @ KERNEL[:, :width] + BIAS[:width]
    return layer(projected, STATES[: layer.num_states])


def with_weights(cell, *weights):
    """A cell of Keras with the same weights."""
    cell.build((3, 5))
    cell.set_weights(weights)
    return cell


@pytest.mark.check("peer")
def test_gru_equals_that_of_keras():
    layer = made("gru")
    candidate = np.concatenate([np.zeros(14), CANDIDATE_BIAS])
    other = with_weights(
        keras.layers.GRUCell(7, reset_after=True, dtype="float64"),
        KERNEL[:, :21],
        RECURRENT_KERNEL[:, :21],
        np.stack([BIAS[:21], candidate]),
    )
    (state,) = step(layer)
    expected, _ = other(INPUTS, [STATES[0]])
    assert_allclose(state, expected, atol=1e-12)
    assert (layer.num_gates, layer.num_states, layer.input_dim) == (3, 1, 21)


@pytest.mark.check("peer")
def test_lstm_equals_that_of_keras():
    layer = made("lstm")
    # Ours is input, forget, output, candidate; theirs has the output last.
    order = np.concatenate(
        [np.arange(14), np.arange(21, 28), np.arange(14, 21)]
    )
    other = with_weights(
        keras.layers.LSTMCell(7, dtype="float64"),
        KERNEL[:, order],
        RECURRENT_KERNEL[:, order],
        BIAS[order],
    )
    expected, expected_states = other(INPUTS, STATES)
    states = step(layer)
    assert len(states) == 2
    assert_allclose(states[0], expected, atol=1e-12)
    for left, right in zip(states, expected_states):
        assert_allclose(left, right, atol=1e-12)
    assert (layer.num_gates, layer.num_states, layer.input_dim) == (4, 2, 28)


@pytest.mark.check("peer")
def test_simple_rnn_equals_that_of_keras():
    layer = made("simple_rnn")
    other = with_weights(
        keras.layers.SimpleRNNCell(7, dtype="float64"),
        KERNEL[:, :7],
        RECURRENT_KERNEL[:, :7],
        BIAS[:7],
    )
    (state,) = step(layer)
    expected, _ = other(INPUTS, [STATES[0]])
    assert_allclose(state, expected, atol=1e-12)
    assert (layer.num_gates, layer.num_states, layer.input_dim) == (1, 1, 7)


@pytest.mark.check("saved")
@pytest.mark.parametrize("cell", CELLS)
def test_config(cell):
    layer = RecurrentCell(7, cell=cell, name="cell")
    config = layer.get_config()
    assert config["units"] == 7
    assert config["cell"] == cell
    assert RecurrentCell.from_config(config).get_config() == config


@pytest.mark.check("gradients")
@pytest.mark.parametrize("cell", CELLS)
def test_every_weight_has_a_gradient(cell):
    layer = made(cell)
    direction = DRAW(size=(3, 7))
    _, found = gradients(
        lambda: weighted_sum(step(layer)[-1], direction), weights=layer.weights
    )
    for gradient in found:
        assert np.abs(gradient).max() > 1e-2


@pytest.mark.check("precision")
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision(cell, policy):
    layer = RecurrentCell(7, cell=cell, dtype=policy)
    layer.build((3, layer.input_dim))
    exact = made(cell)
    layer.set_weights(exact.get_weights())
    for state, expected in zip(step(layer), step(exact)):
        assert dtype_of(state) == policy.removeprefix("mixed_")
        assert_allclose(array(state, "float64"), expected, atol=0.05)


@pytest.mark.check("bad input")
def test_unknown_cell():
    message = "one of gru, lstm, simple_rnn. Received: cell=mgu"
    with pytest.raises(ValueError, match=message):
        RecurrentCell(7, cell="mgu")

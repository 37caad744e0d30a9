"""Recurrent cells whose input projection is left to the caller."""

import keras
from keras import ops

CELLS = ("gru", "lstm", "simple_rnn")


@keras.saving.register_keras_serializable(package="attention_zoo")
class RecurrentCell(keras.layers.Layer):
    """One step of a GRU, an LSTM or a simple RNN, on projected inputs.

    Keras' own cells project their input inside the loop. Here the caller
    does it, for all steps at once, and the cell holds only what depends on
    the recurrence. With x the projected input and h, c the states:

        simple_rnn  h' = tanh(x + U h)
        gru         z, r = sigmoid(x + U h); h~ = tanh(x + r * (U h));
                    h' = z * h + (1 - z) * h~
        lstm        i, f, o = sigmoid(x + U h); c' = f * c + i * tanh(x + U h);
                    h' = o * tanh(c')

    The reset gate of the GRU is applied after the product with U, as in
    cuDNN and in the default of `keras.layers.GRU`.

    Args:
        units: Width of the state.
        cell: `"gru"`, `"lstm"` or `"simple_rnn"`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: Projected inputs of one step, `(batch_size, input_dim)` with
            `input_dim` as the attribute of that name.
        states: List of the states, each `(batch_size, units)`; the first is
            the output of the previous step.

    Returns:
        The list of the new states.

    Raises:
        ValueError: If `cell` is not one of the three.

    References:
        [Cho et al., 2014](https://arxiv.org/abs/1406.1078), section 2.3;
        [Hochreiter and Schmidhuber, 1997](
        https://doi.org/10.1162/neco.1997.9.8.1735).
    """

    def __init__(self, units, cell="gru", **kwargs):
        super().__init__(**kwargs)
        if cell not in CELLS:
            raise ValueError(
                f"`cell` must be one of {', '.join(CELLS)}. "
                f"Received: cell={cell}"
            )
        self.units = units
        self.cell = cell

    @property
    def num_gates(self):
        """How many blocks of `units` features the projected input has."""
        return {"gru": 3, "lstm": 4, "simple_rnn": 1}[self.cell]

    @property
    def num_states(self):
        """How many states the cell carries."""
        return 2 if self.cell == "lstm" else 1

    @property
    def input_dim(self):
        """Width of the projected input."""
        return self.num_gates * self.units

    def build(self, inputs_shape, states_shape=None):
        # As in Keras: rows that are orthonormal over all gates together.
        self.recurrent_kernel = self.add_weight(
            shape=(self.units, self.input_dim),
            initializer="orthogonal",
            name="recurrent_kernel",
        )
        if self.cell == "gru":
            self.recurrent_bias = self.add_weight(
                shape=(self.units,), initializer="zeros", name="recurrent_bias"
            )

    def call(self, inputs, states):
        gates = ops.matmul(states[0], self.recurrent_kernel)
        if self.cell == "gru":
            return self._gru(inputs, gates, states[0])
        gates = inputs + gates
        if self.cell == "lstm":
            return self._lstm(gates, states[1])
        return [ops.tanh(gates)]

    def _gru(self, inputs, gates, state):
        input_gates, input_candidate = ops.split(
            inputs, [2 * self.units], axis=-1
        )
        state_gates, state_candidate = ops.split(
            gates, [2 * self.units], axis=-1
        )
        update, reset = ops.split(
            ops.sigmoid(input_gates + state_gates), 2, axis=-1
        )
        candidate = ops.tanh(
            input_candidate + reset * (state_candidate + self.recurrent_bias)
        )
        return [update * state + (1.0 - update) * candidate]

    def _lstm(self, gates, carry):
        gates, candidate = ops.split(gates, [3 * self.units], axis=-1)
        keep_input, forget, keep_output = ops.split(
            ops.sigmoid(gates), 3, axis=-1
        )
        carry = forget * carry + keep_input * ops.tanh(candidate)
        return [keep_output * ops.tanh(carry), carry]

    def get_config(self):
        config = super().get_config()
        config.update({"units": self.units, "cell": self.cell})
        return config

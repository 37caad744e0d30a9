"""The bidirectional recurrent encoder."""

import keras
from keras import ops

from layers import masks
from layers._recurrence import recur
from layers.recurrent_cell import RecurrentCell


@keras.saving.register_keras_serializable(package="attention_zoo")
class BidirectionalEncoder(keras.layers.Layer):
    """Reads a sequence from both ends.

        h_j = [forward state at j; backward state at j]

    The inputs are projected for all steps at once, and one loop carries both
    directions; `keras.layers.Bidirectional` has a loop for each and projects
    inside it. Padding leaves the states as they are.

    Args:
        units: Width of the states of each direction.
        cell: `"gru"`, `"lstm"` or `"simple_rnn"`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: `(batch_size, length, input_dim)`, padded at the end.
        mask: Boolean `(batch_size, length)`, True = real.

    Returns:
        The states h, `(batch_size, length, 2 * units)`, and the final
        states of both directions, `(batch_size, 2 * units)`.

    Raises:
        ValueError: If `mask` is not boolean.

    References:
        [Schuster and Paliwal, 1997](https://doi.org/10.1109/78.650093);
        [Bahdanau et al., 2015](https://arxiv.org/abs/1409.0473), section 3.2.
    """

    def __init__(self, units, cell="gru", **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True
        self.units = units
        self.cell = cell
        self.cells = [
            RecurrentCell(units, cell=cell, name=name, dtype=self.dtype_policy)
            for name in ("forward", "backward")
        ]
        self.input_projection = keras.layers.Dense(
            2 * self.cells[0].input_dim,
            name="input_projection",
            dtype=self.dtype_policy,
        )

    def build(self, inputs_shape):
        self.input_projection.build(inputs_shape)
        for cell in self.cells:
            cell.build((inputs_shape[0], cell.input_dim))

    def call(self, inputs, mask=None):
        forward, backward = ops.split(self.input_projection(inputs), 2, axis=-1)
        mask = masks.check_mask(mask, "mask")
        if mask is None:
            mask = ops.ones(ops.shape(inputs)[:2], dtype="bool")
        real = ops.cast(mask, forward.dtype)[:, :, None]
        # The backward direction is read in reverse, padding first.
        steps = ops.concatenate(
            [forward, ops.flip(backward, 1), real, ops.flip(real, 1)], axis=-1
        )
        zeros = ops.zeros_like(forward[:, 0, : self.units])
        count = self.cells[0].num_states
        outputs = recur(
            self._step,
            steps,
            [zeros] * 2 * count,
            2 * self.units,
            self.dtype_policy,
        )
        forward, backward = ops.split(outputs, 2, axis=-1)
        states = ops.concatenate([forward, ops.flip(backward, 1)], axis=-1)
        return states, outputs[:, -1]

    def compute_mask(self, inputs, mask=None):
        return mask, None

    def _step(self, inputs, states):
        width = self.cells[0].input_dim
        count = self.cells[0].num_states
        new_states = []
        for index, cell in enumerate(self.cells):
            old = states[index * count : (index + 1) * count]
            gates = inputs[:, index * width : (index + 1) * width]
            real = inputs[:, 2 * width + index, None] > 0
            new_states += [
                ops.where(real, new, state)
                for new, state in zip(cell(gates, old), old)
            ]
        output = ops.concatenate([new_states[0], new_states[count]], axis=-1)
        return output, new_states

    def get_config(self):
        config = super().get_config()
        config.update({"units": self.units, "cell": self.cell})
        return config

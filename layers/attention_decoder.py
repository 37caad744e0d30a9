"""The recurrent decoder with attention."""

import keras
from keras import ops

from layers import recording
from layers._decoder_loops import run_additive_gru
from layers._decoder_loops import run_steps
from layers._nested import deserialize
from layers._nested import serialize
from layers.additive_attention import AdditiveAttention
from layers.recurrent_cell import RecurrentCell


@keras.saving.register_keras_serializable(package="attention_zoo")
class AttentionDecoder(keras.layers.Layer):
    """Recurrent decoder that looks at a memory before each step.

        c_t = attention(s_{t-1}, memory)
        s_t = cell(W y_{t-1} + C c_t, s_{t-1})

    In the paper the attention does not know y_{t-1}, the output before, when
    it chooses where to look. With `input_in_query` it does: the query is
    [s_{t-1}; y_{t-1}], which gives cleaner alignments.

    In training the previous outputs y are known (teacher forcing), and all
    that does not depend on the recurrence is computed for all steps at once:
    the input projection W y, the projection of the keys and, when
    `record_attention` asks, the attention of the states s_0 .. s_{T-1},
    after the loop. So asking for attention cannot change the output.

    Without an attention layer the context is one fixed vector for all steps,
    the bottleneck that attention removes (Cho et al., 2014).

    Args:
        units: Width of the state s.
        attention: A layer with `project` and `attend`, as all query-key
            layers of this package, without dropout, window or positions;
            None for a fixed context.
        cell: `"gru"`, `"lstm"` or `"simple_rnn"`.
        input_in_query: Whether the attention sees y_{t-1} too.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: Embedded previous outputs,
            `(batch_size, target_length, embedding_dim)`.
        value: What the decoder looks at,
            `(batch_size, source_length, value_dim)`; without attention the
            context, `(batch_size, 1, value_dim)`.
        initial_state: s_0, `(batch_size, units)`. The carry of an LSTM
            starts at zero.
        value_mask: Boolean `(batch_size, source_length)`.

    Returns:
        The states s_1 .. s_T, `(batch_size, target_length, units)`, and the
        contexts c_1 .. c_T, `(batch_size, target_length, context_dim)`, as
        wide as the attention makes them.

    Raises:
        ValueError: If the attention drops weights or needs positions.

    Reference:
        [Bahdanau et al., 2015](https://arxiv.org/abs/1409.0473), section 3.1
        and appendix A.2.2.
    """

    def __init__(
        self,
        units,
        attention=None,
        cell="gru",
        input_in_query=False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if getattr(attention, "dropout", 0.0):
            raise ValueError(
                "The attention of a decoder must have no dropout, which its "
                "loop would not apply. "
                f"Received: attention.dropout={attention.dropout}"
            )
        if getattr(attention, "needs_positions", False):
            raise ValueError(
                "The attention of a decoder must not depend on positions: "
                "the states that ask have none among the keys. Received: "
                f"attention={attention.get_config()}"
            )
        self.supports_masking = True
        self.input_in_query = input_in_query
        self.units = units
        self.attention = attention
        self.cell = RecurrentCell(
            units, cell=cell, name="cell", dtype=self.dtype_policy
        )
        self.input_projection = keras.layers.Dense(
            self.cell.input_dim,
            name="input_projection",
            dtype=self.dtype_policy,
        )
        self.context_projection = keras.layers.Dense(
            self.cell.input_dim,
            use_bias=False,
            name="context_projection",
            dtype=self.dtype_policy,
        )

    def build(self, inputs_shape, value_shape, initial_state_shape=None):
        batch_size = inputs_shape[0]
        self.context_dim = value_shape[-1]
        if self.attention is not None:
            width = self.units + self.input_in_query * inputs_shape[-1]
            self.context_dim = self.attention.context_dim(
                width, value_shape[-1]
            )
            if not self.attention.built:
                self.attention.build((batch_size, None, width), value_shape)
        self.input_projection.build(inputs_shape)
        self.context_projection.build((batch_size, self.context_dim))
        self.cell.build((batch_size, self.cell.input_dim))

    def compute_mask(self, inputs, mask=None):
        return mask, mask

    def project(self, value, value_mask=None):
        """Do the work on the memory that is the same for all steps."""
        if self.attention is None:
            return {
                "context": value[:, 0],
                "projected": self.context_projection(value[:, 0]),
            }
        return self.attention.project(value, value_mask=value_mask)

    def start(self, initial_state):
        """The states before the first step."""
        carry = [ops.zeros_like(initial_state)] * (self.cell.num_states - 1)
        return [initial_state, *carry]

    def prepare(self, inputs):
        """What a step needs of its input: W y, then y itself if asked for.

        Args:
            inputs: `(..., embedding_dim)`, one step or all at once.
        """
        projected = self.input_projection(inputs)
        if not self.input_in_query:
            return projected
        inputs = ops.cast(inputs, projected.dtype)
        return ops.concatenate([projected, inputs], axis=-1)

    def query(self, state, inputs):
        """The query of the attention, `(..., query_dim)`."""
        if not self.input_in_query:
            return state
        return ops.concatenate([state, inputs], axis=-1)

    def advance(self, prepared, states, memory):
        """One step.

        Args:
            prepared: What `prepare` gave for y_{t-1}.
            states: List of the states at t - 1.
            memory: What `project` returned.

        Returns:
            The list of the states at t, and the context c_t
            `(batch_size, context_dim)`.
        """
        gates = prepared[:, : self.cell.input_dim]
        if self.attention is None:
            context, projected = memory["context"], memory["projected"]
        else:
            query = self.query(states[0], prepared[:, self.cell.input_dim :])
            context = self.attention.attend(query[:, None, :], memory)
            context = ops.squeeze(context, axis=1)
            projected = self.context_projection(context)
        return self.cell(gates + projected, states), context

    def step(self, inputs, states, memory):
        """One step from an embedded output `(batch_size, embedding_dim)`."""
        return self.advance(self.prepare(inputs), states, memory)

    def call(self, inputs, value, initial_state, *, value_mask=None):
        memory = self.project(value, value_mask=value_mask)
        if (
            type(self.attention) is AdditiveAttention
            and self.cell.cell == "gru"
        ):
            run = run_additive_gru
        else:
            run = run_steps
        outputs = run(self, inputs, initial_state, memory)
        states, contexts = ops.split(outputs, [self.units], axis=-1)
        if self.attention is not None and recording.is_recording():
            previous = ops.concatenate(
                [initial_state[:, None, :], states[:, :-1]], axis=1
            )
            self.attention.attend(self.query(previous, inputs), memory)
        return states, contexts

    def get_config(self):
        config = super().get_config()
        config.update(
            {
                "units": self.units,
                "attention": serialize(self.attention),
                "cell": self.cell.cell,
                "input_in_query": self.input_in_query,
            }
        )
        return config

    @classmethod
    def from_config(cls, config):
        return cls(**deserialize(config, ["attention"]))

"""The decoder block of the Transformer."""

import keras
from keras import ops

from layers._transformer_block import TransformerBlock


@keras.saving.register_keras_serializable(package="attention_zoo")
class DecoderBlock(TransformerBlock):
    """Causal self-attention, attention to a memory, and a feed-forward
    network, each with a residual.

    One step at a time, with the keys and values of the steps before kept:

        state = block.start(value, value_mask=mask, capacity=50)
        outputs, state = block.step(inputs, state)

    Args:
        self_attention: Any layer with a query, a key and a value, such as
            `MultiHeadAttention(num_heads=4, key_dim=32)`.
        cross_attention: One more, which looks at the memory; None for a
            decoder without a memory.
        feed_forward: A layer for each position by itself, such as
            `FeedForward(hidden_dim=512)`.
        normalize_first: Pre-norm, else post-norm, as in the original.
        normalization: `"layer"`, `"rms"` or `"group"`; batch normalisation
            would tell a position of later ones.
        num_groups: Number of groups of features, for `"group"`.
        epsilon: Added to the variance in the normalisation.
        dropout: Fraction of the outputs of each branch to drop in training.
        stochastic_depth: Fraction of the samples for which a branch is
            skipped in training.
        seed: Seed of both.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: `(batch_size, target_length, hidden_dim)`.
        value: The memory, `(batch_size, source_length, value_dim)`; none
            without `cross_attention`.
        mask: Boolean `(batch_size, target_length)`, True where a position is
            real; one that is not neither attends nor is attended to.
        value_mask: Boolean `(batch_size, source_length)`.
        training: Whether dropout is active.

    Returns:
        A tensor of the shape of `inputs`. The attention is collected by
        `record_attention`.

    Raises:
        ValueError: If the normalisation is that of a batch, or a memory is
            given where there is no layer for it, or the reverse.

    Example:

    >>> block = DecoderBlock(
    ...     MultiHeadAttention(4, 32), MultiHeadAttention(4, 32),
    ...     FeedForward(512))
    >>> states = block(embedded, encoded, value_mask=token_ids != 0)

    Reference:
        [Vaswani et al., 2017](https://arxiv.org/abs/1706.03762), section 3.1.
    """

    BRANCHES = ("self_attention", "cross_attention", "feed_forward")

    def __init__(self, self_attention, cross_attention, feed_forward, **kwargs):
        branches = (self_attention, cross_attention, feed_forward)
        super().__init__(
            dict(zip(self.BRANCHES, branches)), causal=True, **kwargs
        )

    def build(self, inputs_shape, value_shape=None):
        self.build_branches(inputs_shape)
        self.hidden_dim = inputs_shape[-1]
        if not self.self_attention.built:
            self.self_attention.build(inputs_shape, inputs_shape)
        if self.cross_attention is not None and not self.cross_attention.built:
            self.cross_attention.build(inputs_shape, value_shape)
        if not self.feed_forward.built:
            self.feed_forward.build(inputs_shape)

    def compute_mask(self, inputs, value=None, mask=None):
        return mask[0] if isinstance(mask, (list, tuple)) else mask

    def call(
        self, inputs, value=None, *, mask=None, value_mask=None, training=None
    ):
        self._check_memory(value)

        def attend(states):
            return self.self_attention(
                states,
                states,
                query_mask=mask,
                value_mask=mask,
                use_causal_mask=True,
                training=training,
            )

        def look(states):
            return self.cross_attention(
                states,
                value,
                query_mask=mask,
                value_mask=value_mask,
                training=training,
            )

        return self._run(inputs, attend, look, training)

    def _run(self, inputs, attend, look, training=None):
        def feed(states):
            return self.feed_forward(states, training=training)

        states = self.residual(
            "self_attention", inputs, attend, training=training
        )
        if self.cross_attention is not None:
            states = self.residual(
                "cross_attention", states, look, training=training
            )
        return self.residual("feed_forward", states, feed, training=training)

    def _check_memory(self, value):
        if (value is None) != (self.cross_attention is None):
            raise ValueError(
                "`value` is needed with `cross_attention`, and only then. "
                f"Received: value={value}, "
                f"cross_attention={self.cross_attention}"
            )

    def start(
        self, value=None, *, value_mask=None, capacity=None, batch_size=None
    ):
        """The state before the first step.

        Args:
            value, value_mask: As in the call.
            capacity: Most steps; None lets the state grow, which a loop in a
                graph cannot.
            batch_size: Needed without a `value`.

        Returns:
            A dictionary of memories.
        """
        self._check_memory(value)
        if value is not None:
            batch_size = ops.shape(value)[0]
        nothing = ops.zeros(
            (batch_size, 0, self.hidden_dim), dtype=self.compute_dtype
        )
        state = {
            "self": self.self_attention.project(nothing, capacity=capacity)
        }
        if value is not None:
            state["cross"] = self.cross_attention.project(
                value, value_mask=value_mask
            )
        return state

    def step(self, inputs, state):
        """Some more positions.

        Args:
            inputs: `(batch_size, new_length, hidden_dim)`.
            state: What `start` or the step before returned.

        Returns:
            The outputs for the new positions, and the new state.
        """
        memory = None
        # As a call does; on torch an array of NumPy is no tensor.
        inputs = ops.convert_to_tensor(inputs, dtype=self.compute_dtype)

        def attend(states):
            nonlocal memory
            memory = self.self_attention.append(state["self"], states)
            return self.self_attention.attend(
                states, memory, use_causal_mask=True
            )

        def look(states):
            return self.cross_attention.attend(states, state["cross"])

        outputs = self._run(inputs, attend, look)
        return outputs, {**state, "self": memory}

"""A stack of decoder blocks, with a cache for one step at a time."""

import keras

from layers import DecoderBlock
from layers import FeedForward
from layers import MultiHeadAttention
from layers._normalization import make_normalization
from zoo._transformer_encoder import check_stack


class TransformerDecoder(keras.layers.Layer):
    """Decoder blocks, the last followed by a norm if they are pre-norm.

    Args:
        num_layers: Number of blocks.
        num_heads: Number of heads of each.
        hidden_dim: Width of the states, a multiple of `num_heads`.
        intermediate_dim: Width inside the feed-forward networks.
        activation: Activation inside them.
        normalize_first: Pre-norm, else post-norm.
        dropout: Fraction of the outputs of each branch to drop.
        attention_dropout: Fraction of the attention weights to drop.
        epsilon: Added to the variance in the normalisation.

    Raises:
        ValueError: If there is no block, or heads do not divide the width.
    """

    def __init__(
        self,
        num_layers,
        num_heads,
        hidden_dim,
        intermediate_dim,
        activation="relu",
        normalize_first=True,
        dropout=0.0,
        attention_dropout=0.0,
        epsilon=1e-6,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_stack(num_layers, num_heads, hidden_dim)
        dtype = self.dtype_policy

        def attention(name):
            return MultiHeadAttention(
                num_heads,
                hidden_dim // num_heads,
                dropout=attention_dropout,
                dtype=dtype,
                name=name,
            )

        self.blocks = [
            DecoderBlock(
                attention("self"),
                attention("cross"),
                FeedForward(
                    intermediate_dim,
                    activation,
                    dtype=dtype,
                    name="feed_forward",
                ),
                normalize_first=normalize_first,
                epsilon=epsilon,
                dropout=dropout,
                dtype=dtype,
                name=str(place),
            )
            for place in range(num_layers)
        ]
        self.normalization = None
        if normalize_first:
            self.normalization = make_normalization(
                "layer", epsilon=epsilon, name="normalization", dtype=dtype
            )

    def build(self, inputs_shape, value_shape=None):
        for block in self.blocks:
            block.build(inputs_shape, value_shape)
        if self.normalization is not None:
            self.normalization.build(inputs_shape)

    def call(self, inputs, value, mask=None, value_mask=None, training=None):
        states = inputs
        for block in self.blocks:
            states = block(
                states,
                value,
                mask=mask,
                value_mask=value_mask,
                training=training,
            )
        return self._finish(states)

    def start(self, value, value_mask=None, capacity=None):
        """What each block keeps before the first step.

        Returns:
            Two lists with a memory for each block: `self`, which grows with
            the steps, and `cross`, which stays.
        """
        states = [
            block.start(value, value_mask=value_mask, capacity=capacity)
            for block in self.blocks
        ]
        return (
            [state["self"] for state in states],
            [state["cross"] for state in states],
        )

    def step(self, inputs, own, cross):
        """One more position, or some.

        Args:
            inputs: `(batch_size, new_length, hidden_dim)`.
            own, cross: The lists that `start` or the step before gave.

        Returns:
            The outputs, and the new `own`.
        """
        states, grown = inputs, []
        for block, memory, source in zip(self.blocks, own, cross):
            states, state = block.step(
                states, {"self": memory, "cross": source}
            )
            grown.append(state["self"])
        return self._finish(states), grown

    def _finish(self, states):
        if self.normalization is None:
            return states
        return self.normalization(states)

    def compute_mask(self, inputs, mask=None):
        return None  # masks are passed on explicitly

    def compute_output_shape(self, inputs_shape, value_shape=None):
        return inputs_shape

"""A stack of encoder blocks, which the classifiers share."""

import keras

from layers import EncoderBlock
from layers import FeedForward
from layers import MultiHeadAttention
from layers._normalization import make_normalization


class TransformerEncoder(keras.layers.Layer):
    """Encoder blocks, the last followed by a norm if they are pre-norm.

    Block number l of L skips its branches for a fraction
    `stochastic_depth * l / L` of the samples (Huang et al., 2016, equation
    4): what lies deep is left out more often.

    Args:
        num_layers: Number of blocks, L.
        num_heads: Number of heads of each.
        hidden_dim: Width of the states, a multiple of `num_heads`.
        intermediate_dim: Width inside the feed-forward networks.
        activation: Activation inside them.
        normalize_first: Pre-norm, else post-norm.
        dropout: Fraction of the outputs of each branch to drop.
        attention_dropout: Fraction of the attention weights to drop.
        stochastic_depth: Fraction of the samples that skip the last block.
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
        activation="gelu",
        normalize_first=True,
        dropout=0.0,
        attention_dropout=0.0,
        stochastic_depth=0.0,
        epsilon=1e-6,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_stack(num_layers, num_heads, hidden_dim)
        self.supports_masking = True
        dtype = self.dtype_policy
        self.blocks = [
            EncoderBlock(
                MultiHeadAttention(
                    num_heads,
                    hidden_dim // num_heads,
                    dropout=attention_dropout,
                    dtype=dtype,
                    name="self",
                ),
                FeedForward(
                    intermediate_dim,
                    activation,
                    dtype=dtype,
                    name="feed_forward",
                ),
                normalize_first=normalize_first,
                epsilon=epsilon,
                dropout=dropout,
                stochastic_depth=stochastic_depth * (place + 1) / num_layers,
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

    def build(self, inputs_shape):
        for block in self.blocks:
            block.build(inputs_shape)
        if self.normalization is not None:
            self.normalization.build(inputs_shape)

    def call(self, inputs, mask=None, training=None):
        states = inputs
        for block in self.blocks:
            states = block(states, mask=mask, training=training)
        if self.normalization is not None:
            states = self.normalization(states)
        return states

    def compute_mask(self, inputs, mask=None):
        return None  # masks are passed on explicitly

    def compute_output_shape(self, inputs_shape):
        return inputs_shape


def check_stack(num_layers, num_heads, hidden_dim):
    """See that the sizes of a stack of blocks fit.

    Raises:
        ValueError: If there is no block, or heads do not divide the width.
    """
    if num_layers < 1:
        raise ValueError(
            "There must be one block at least. "
            f"Received: num_layers={num_layers}"
        )
    if num_heads < 1 or hidden_dim % num_heads:
        raise ValueError(
            "`num_heads` must divide the width of the states. "
            f"Received: num_heads={num_heads}, hidden_dim={hidden_dim}"
        )

"""Concat attention."""

import keras
from keras import ops

from layers._attention_layer import project_features
from layers._attention_scores import Additive
from layers._blockwise_attention import BlockwiseAttention
from layers._call_contract import CALL_ARGUMENTS


@keras.saving.register_keras_serializable(package="attention_zoo")
class ConcatAttention(BlockwiseAttention):
    __doc__ = f"""Attention with a sum of tanh features as its score.

        score(q, k) = sum over units of tanh(W [q; k] + b)

    W [q; k] is the sum of a part of the query and a part of the key, so each
    is projected once and no pair is ever joined. This is `AdditiveAttention`
    with a bias and with v, which weighs the units, fixed to ones; Luong's
    "concat" with v fixed to ones. A score thus lies between -units and units.

    The tanh is what lets the query matter. Without it the query adds the same
    number to the scores of all keys, and the softmax takes that away again:
    every query would have the same weights.

    Args:
        units: Number of tanh features.
        use_bias: Whether to add b.
        blockwise: Whether to compute the scores in blocks and, for the
            gradient, again, in memory that grows with the length and not
            with its square; None does so where it pays, by the lengths that
            are known when the layer is called.
        dropout: Fraction of the attention weights to drop in training.
        seed: Seed of the dropout.
        kernel_initializer: Initializer of W.
        **kwargs: Arguments of `keras.layers.Layer`.
    {CALL_ARGUMENTS}
    Example:

    >>> layer = ConcatAttention(units=128)
    >>> context = layer(decoder_states, encoder_states, value_mask=mask)

    Reference:
        [Luong et al., 2015](https://arxiv.org/abs/1508.04025), section 3.1,
        "concat".
    """

    def __init__(
        self,
        units,
        use_bias=True,
        blockwise=None,
        dropout=0.0,
        seed=None,
        kernel_initializer="glorot_uniform",
        **kwargs,
    ):
        super().__init__(
            blockwise=blockwise,
            dropout=dropout,
            seed=seed,
            kernel_initializer=kernel_initializer,
            **kwargs,
        )
        if units < 1:
            raise ValueError(
                f"`units` must be at least 1. Received: units={units}"
            )
        self.units = units
        self.use_bias = use_bias

    def build(self, query_shape, value_shape, key_shape=None):
        key_shape = value_shape if key_shape is None else key_shape
        # One matrix, as the formula has it: the rows of the query come first.
        self.kernel = self.add_kernel(
            (query_shape[-1] + key_shape[-1], self.units), name="kernel"
        )
        if self.use_bias:
            self.bias = self.add_weight(
                shape=(self.units,), initializer="zeros", name="bias"
            )

    def project_key(self, key):
        projected = project_features(key, self.kernel[-key.shape[-1] :])
        return projected + self.bias if self.use_bias else projected

    def look(self, query, memory, given, seed=None, asked=True):
        query = project_features(query, self.kernel[: query.shape[-1]])
        ones = ops.ones((self.units, 1), query.dtype)
        return self.attend_one_head(
            Additive(), query, memory, given, seed, asked, weights=(ones,)
        )

    def get_config(self):
        config = super().get_config()
        config.update(
            {
                "units": self.units,
                "use_bias": self.use_bias,
            }
        )
        return config

"""Additive attention."""

import keras
from keras import ops

from layers._attention_layer import project_features
from layers._attention_scores import Additive
from layers._blockwise_attention import BlockwiseAttention
from layers._call_contract import CALL_ARGUMENTS


@keras.saving.register_keras_serializable(package="attention_zoo")
class AdditiveAttention(BlockwiseAttention):
    __doc__ = f"""Attention with a small network as its score (Bahdanau).

        score(q, k) = v . tanh(W_q q + W_k k)

    `keras.layers.AdditiveAttention` has neither W_q nor W_k, so queries and
    keys there must already live in one space. Here they are learned, and the
    keys are projected once for a sentence, however often it is queried.

    The bias inside the tanh is optional and off, as in the paper.

    Args:
        units: Width of the space in which query and key are compared, the
            paper's n'.
        use_bias: Whether to add a bias inside the tanh.
        blockwise: Whether to compute the scores in blocks and, for the
            gradient, again, in memory that grows with the length and not
            with its square; None does so where it pays, by the lengths that
            are known when the layer is called.
        dropout: Fraction of the attention weights to drop in training.
        seed: Seed of the dropout.
        kernel_initializer: Initializer of W_q, W_k and v.
        **kwargs: Arguments of `keras.layers.Layer`.
    {CALL_ARGUMENTS}
    Example:

    >>> layer = AdditiveAttention(units=128)
    >>> context, scores = layer(
    ...     decoder_states, encoder_states,
    ...     value_mask=token_ids != 0, return_attention_scores=True)

    Reference:
        [Bahdanau et al., 2015](https://arxiv.org/abs/1409.0473), section 3.1
        and appendix A.1.2.
    """

    def __init__(
        self,
        units,
        use_bias=False,
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
        self.units = units
        self.use_bias = use_bias

    def build(self, query_shape, value_shape, key_shape=None):
        key_shape = value_shape if key_shape is None else key_shape
        self.query_kernel = self.add_kernel(
            (query_shape[-1], self.units), name="query_kernel"
        )
        self.key_kernel = self.add_kernel(
            (key_shape[-1], self.units), name="key_kernel"
        )
        self.score_kernel = self.add_kernel(
            (self.units, 1), name="score_kernel"
        )
        if self.use_bias:
            self.bias = self.add_weight(
                shape=(self.units,), initializer="zeros", name="bias"
            )

    def project_key(self, key):
        projected = project_features(key, self.key_kernel)
        return projected + self.bias if self.use_bias else projected

    def look(self, query, memory, given, seed=None, asked=True):
        query = project_features(query, self.query_kernel)
        return self.attend_one_head(
            Additive(),
            query,
            memory,
            given,
            seed,
            asked,
            weights=(ops.cast(self.score_kernel, query.dtype),),
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

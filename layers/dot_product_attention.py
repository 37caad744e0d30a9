"""Scaled dot-product attention."""

import keras

from layers._attention_layer import project_features
from layers._attention_scores import DotProduct
from layers._blockwise_attention import BlockwiseAttention
from layers._call_contract import CALL_ARGUMENTS


@keras.saving.register_keras_serializable(package="attention_zoo")
class DotProductAttention(BlockwiseAttention):
    __doc__ = f"""Attention with the dot product as its score (Vaswani).

        score(q, k) = q . k / sqrt(d)

    with d the width of the compared vectors. Without `units` there is no
    weight, and query and key must have the same width; with it, they are
    first mapped by learned matrices W_q and W_k to `units` features.

    Args:
        units: Width of the learned projections of query and key; None for
            none.
        scale: Whether to divide the score by the square root of the width.
        window_size: Farthest distance between the positions of a query and a
            key that it sees (sliding window); None is any.
        blockwise: Whether to compute the scores in blocks and, for the
            gradient, again, in memory that grows with the length and not
            with its square; None does so where it pays, by the lengths that
            are known when the layer is called.
        dropout: Fraction of the attention weights to drop in training.
        seed: Seed of the dropout.
        kernel_initializer: Initializer of W_q and W_k.
        **kwargs: Arguments of `keras.layers.Layer`.
    {CALL_ARGUMENTS}
    Example:

    >>> layer = DotProductAttention()
    >>> context = layer(queries, values, keys, use_causal_mask=True)

    Reference:
        [Vaswani et al., 2017](https://arxiv.org/abs/1706.03762), equation 1.
    """

    def __init__(
        self,
        units=None,
        scale=True,
        window_size=None,
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
            window_size=window_size,
            **kwargs,
        )
        self.units = units
        self.scale = scale

    def build(self, query_shape, value_shape, key_shape=None):
        key_shape = value_shape if key_shape is None else key_shape
        if self.units is None:
            if query_shape[-1] != key_shape[-1]:
                raise ValueError(
                    "Without `units`, query and key must have the same last "
                    f"axis. Received: query.shape={tuple(query_shape)}, "
                    f"key.shape={tuple(key_shape)}"
                )
            return
        self.query_kernel = self.add_kernel(
            (query_shape[-1], self.units), name="query_kernel"
        )
        self.key_kernel = self.add_kernel(
            (key_shape[-1], self.units), name="key_kernel"
        )

    def project_key(self, key):
        if self.units is None:
            return key
        return project_features(key, self.key_kernel)

    def look(self, query, memory, given, seed=None, asked=True):
        if self.units is not None:
            query = project_features(query, self.query_kernel)
        if self.scale:
            # Scaling the query costs T x d products, the scores T x S.
            query = query * query.shape[-1] ** -0.5
        return self.attend_one_head(
            DotProduct(), query, memory, given, seed, asked
        )

    def get_config(self):
        config = super().get_config()
        config.update(
            {
                "units": self.units,
                "scale": self.scale,
                "window_size": self.window_size,
            }
        )
        return config

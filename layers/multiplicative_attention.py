"""Multiplicative attention."""

import keras
from keras import ops

from layers._attention_layer import project_features
from layers._attention_scores import DotProduct
from layers._blockwise_attention import BlockwiseAttention
from layers._call_contract import CALL_ARGUMENTS

SCORE_MODES = ("general", "dot")


@keras.saving.register_keras_serializable(package="attention_zoo")
class MultiplicativeAttention(BlockwiseAttention):
    __doc__ = f"""Attention with a product as its score (Luong).

        score(q, k) = q . W k    "general"
        score(q, k) = q . k      "dot"

    Nothing is scaled: that is what tells "dot" from `DotProductAttention`.
    The keys of "general" are mapped once for a sentence, to W k, and each
    query then costs a plain dot product. The third score of the paper is
    `ConcatAttention`.

    Args:
        score_mode: `"general"`, with a learned matrix W, or `"dot"`, where
            query and key must have the same width.
        window_size: Farthest distance between the positions of a query and a
            key that it sees (sliding window); None is any.
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

    >>> layer = MultiplicativeAttention()
    >>> context = layer(decoder_states, encoder_states, value_mask=mask)

    Reference:
        [Luong et al., 2015](https://arxiv.org/abs/1508.04025), section 3.1.
    """

    def __init__(
        self,
        score_mode="general",
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
        if score_mode not in SCORE_MODES:
            raise ValueError(
                f"`score_mode` must be one of {SCORE_MODES}. "
                f"Received: score_mode={score_mode!r}"
            )
        self.score_mode = score_mode

    def build(self, query_shape, value_shape, key_shape=None):
        key_shape = value_shape if key_shape is None else key_shape
        if self.score_mode == "general":
            self.kernel = self.add_kernel(
                (query_shape[-1], key_shape[-1]), name="kernel"
            )
        elif query_shape[-1] != key_shape[-1]:
            raise ValueError(
                'With `score_mode="dot"`, query and key must have the same '
                f"last axis. Received: query.shape={tuple(query_shape)}, "
                f"key.shape={tuple(key_shape)}"
            )

    def project_key(self, key):
        if self.score_mode == "dot":
            return key
        return project_features(key, ops.transpose(self.kernel))

    def look(self, query, memory, given, seed=None, asked=True):
        return self.attend_one_head(
            DotProduct(), query, memory, given, seed, asked
        )

    def get_config(self):
        config = super().get_config()
        config.update(
            {
                "score_mode": self.score_mode,
                "window_size": self.window_size,
            }
        )
        return config

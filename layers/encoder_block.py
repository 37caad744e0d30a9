"""The encoder block of the Transformer."""

import keras

from layers._transformer_block import TransformerBlock


@keras.saving.register_keras_serializable(package="attention_zoo")
class EncoderBlock(TransformerBlock):
    """Self-attention, then a feed-forward network, each with a residual.

        pre-norm    x = x + attention(norm(x)); x = x + feed_forward(norm(x))
        post-norm   x = norm(x + attention(x)); x = norm(x + feed_forward(x))

    Args:
        attention: Any layer with a query, a key and a value, such as
            `MultiHeadAttention(num_heads=4, key_dim=32)`.
        feed_forward: A layer for each position by itself, such as
            `FeedForward(hidden_dim=512)`.
        normalize_first: Pre-norm, else post-norm, as in the original.
        normalization: `"layer"`, `"rms"`, `"batch"` or `"group"`. On a
            sequence all but batch normalisation look at one position at a
            time; batch normalisation leaves out masked positions, and cannot
            be used with a causal mask.
        num_groups: Number of groups of features, for `"group"`.
        epsilon: Added to the variance in the normalisation.
        dropout: Fraction of the outputs of each branch to drop in training.
        stochastic_depth: Fraction of the samples for which a branch is
            skipped in training.
        seed: Seed of both.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: `(batch_size, length, hidden_dim)`.
        mask: Boolean `(batch_size, length)`, True where a position is real;
            one that is not neither attends nor is attended to.
        attention_mask: Boolean `(T, T)`, `(B, T, T)` or `(B, N, T, T)`.
        use_causal_mask: Whether a position sees only those up to itself.
        training: Whether dropout is active.

    Returns:
        A tensor of the shape of `inputs`. The attention is collected by
        `record_attention`.

    Raises:
        ValueError: If batch normalisation meets a causal mask.

    Example:

    >>> block = EncoderBlock(MultiHeadAttention(4, 32), FeedForward(512))
    >>> states = block(embedded, mask=token_ids != 0)

    References:
        [Vaswani et al., 2017](https://arxiv.org/abs/1706.03762), section 3.1;
        pre-norm: [Xiong et al., 2020](https://arxiv.org/abs/2002.04745).
    """

    BRANCHES = ("attention", "feed_forward")

    def __init__(self, attention, feed_forward, **kwargs):
        super().__init__(
            {"attention": attention, "feed_forward": feed_forward}, **kwargs
        )

    def build(self, inputs_shape):
        self.build_branches(inputs_shape)
        if not self.attention.built:
            self.attention.build(inputs_shape, inputs_shape)
        if not self.feed_forward.built:
            self.feed_forward.build(inputs_shape)

    def call(
        self,
        inputs,
        *,
        mask=None,
        attention_mask=None,
        use_causal_mask=False,
        training=None,
    ):
        if use_causal_mask and self.normalization == "batch":
            raise ValueError(
                "Batch normalisation would tell a position of later ones. "
                f"Received: normalization={self.normalization}, "
                f"use_causal_mask={use_causal_mask}"
            )

        def attend(states):
            return self.attention(
                states,
                states,
                query_mask=mask,
                value_mask=mask,
                attention_mask=attention_mask,
                use_causal_mask=use_causal_mask,
                training=training,
            )

        def feed(states):
            return self.feed_forward(states, training=training)

        more = {"mask": mask, "training": training}
        states = self.residual("attention", inputs, attend, **more)
        return self.residual("feed_forward", states, feed, **more)

"""What a classifier of texts and one of pictures have in common."""

import functools

import keras
from keras import ops

from layers import AttentionPooling
from layers import Dropout
from layers.masks import check_mask
from zoo._attention_model import AttentionModel
from zoo._transformer_encoder import TransformerEncoder

POOLINGS = ("class_token", "mean", "attention")


class EncoderClassifier(AttentionModel):
    """Base of the models `embed`, `encoder`, pooling and head.

    A subclass stores its arguments under their names, calls `_make_layers`,
    and writes `embed` and `padding_of`.
    """

    def _make_layers(self, normalize_first):
        if self.pooling not in POOLINGS:
            raise ValueError(
                f"`pooling` must be one of {', '.join(POOLINGS)}. "
                f"Received: pooling={self.pooling}"
            )
        dtype = self.dtype_policy
        self.encoder = TransformerEncoder(
            self.num_layers,
            self.num_heads,
            self.hidden_dim,
            self.intermediate_dim,
            activation=self.activation,
            normalize_first=normalize_first,
            dropout=self.dropout,
            attention_dropout=self.attention_dropout,
            stochastic_depth=self.stochastic_depth,
            epsilon=self.layer_norm_epsilon,
            dtype=dtype,
            name="encoder",
        )
        self.drop = Dropout(self.dropout, dtype=dtype, name="drop")
        self.attention_pooling = self.pooler_dense = self.head = None
        if self.pooling == "attention":
            self.attention_pooling = AttentionPooling(
                dtype=dtype, name="pooling"
            )
        if self.pooler:
            self.pooler_dense = keras.layers.Dense(
                self.hidden_dim, activation="tanh", dtype=dtype, name="pooler"
            )
        if self.num_classes is not None:
            self.head = keras.layers.Dense(
                self.num_classes, dtype=dtype, name="head"
            )

    def _build_layers(self):
        """Build all that follows the embedding."""
        for layer in (self.encoder, *self.layers_after_encoder):
            layer.build((None, None, self.hidden_dim))

    @property
    def layers_after_encoder(self):
        """Those of them that there are: pooling, pooler, head."""
        layers = (self.attention_pooling, self.pooler_dense, self.head)
        return [layer for layer in layers if layer is not None]

    def call(self, inputs, token_mask=None, training=None):
        features = self.features(inputs, token_mask, training=training)
        if self.head is None:
            return features
        logits = self.head(self.drop(features, training=training))
        return ops.cast(logits, _wide(logits.dtype))

    def encode(self, inputs, token_mask=None, training=None):
        """States of the last layer, `(batch_size, length, hidden_dim)`."""
        embedded = self.embed(inputs, training=training)
        mask = self._mask_of(inputs, token_mask)
        return self.encoder(embedded, mask=mask, training=training)

    def features(self, inputs, token_mask=None, training=None):
        """What the head sees: one vector each, `(batch_size, hidden_dim)`."""
        states = self.encode(inputs, token_mask, training=training)
        mask = self._mask_of(inputs, token_mask)
        if self.pooling == "class_token":
            pooled = states[:, 0]
        elif self.pooling == "mean":
            pooled = mean_over(states, mask)
        else:
            pooled = self.attention_pooling(
                states, mask=mask, training=training
            )
        if self.pooler_dense is not None:
            pooled = self.pooler_dense(pooled)
        return pooled

    def _mask_of(self, inputs, token_mask):
        """Which tokens take part: those that are real and not left out."""
        real = self.padding_of(inputs)
        token_mask = check_mask(token_mask, "token_mask", rank=2)
        masks = [mask for mask in (real, token_mask) if mask is not None]
        return functools.reduce(ops.logical_and, masks) if masks else None

    def embed(self, inputs, training=None):
        """What the encoder sees, `(batch_size, length, hidden_dim)`."""
        raise NotImplementedError

    def padding_of(self, inputs):
        """True where a position is real, `(batch_size, length)`; None where
        all are."""
        return None


def mean_over(states, mask=None):
    """Mean of the real positions, 0 where there are none.

    Args:
        states: `(batch_size, length, dim)`.
        mask: Boolean `(batch_size, length)`; None is all.

    Returns:
        `(batch_size, dim)`, of the type of `states`; sums are float32 or
        wider.
    """
    wide = ops.cast(states, _wide(states.dtype))
    if mask is None:
        return ops.cast(ops.mean(wide, axis=1), states.dtype)
    weights = ops.cast(mask, wide.dtype)[:, None, :]
    count = ops.maximum(ops.sum(weights, axis=-1), 1)
    # B1S,BSD->B1D
    total = ops.squeeze(ops.matmul(weights, wide), axis=1)
    return ops.cast(total / count, states.dtype)


def _wide(dtype):
    return keras.backend.result_type(dtype, "float32")

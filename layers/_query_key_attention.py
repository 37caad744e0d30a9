"""What all attention layers with a query, a key and a value share."""

import keras
from keras import ops

from layers import masks
from layers import recording
from layers._random_bits import draw_seed
from layers.dropout import drop


def project_features(inputs, kernel):
    """`inputs @ kernel` on the last axis, as one product of two matrices.

    On TensorFlow the general product finds its axes at run time, which XLA
    cannot compile inside a loop.
    """
    width = inputs.shape[-1]
    sizes = ops.shape(inputs)[:-1]
    flat = ops.matmul(ops.reshape(inputs, (-1, width)), kernel)
    return ops.reshape(flat, (*sizes, kernel.shape[-1]))


class QueryKeyAttention(keras.layers.Layer):
    """Base of the layers in which a query looks at keys.

    A subclass says how keys are prepared (`project_key`) and how a query is
    scored against them (`score`). Masks, softmax, dropout, recording and the
    weighted sum are here, once, so that any such layer can replace any other.

    `call` is `project` (all work on keys and values, done once) followed by
    `attend` (the work for a query), which a decoder calls separately.

    Args:
        dropout: Fraction of the attention weights to drop in training.
        seed: Seed of the dropout.
        kernel_initializer: Initializer of the learned matrices.
    """

    def __init__(
        self,
        dropout=0.0,
        seed=None,
        kernel_initializer="glorot_uniform",
        **kwargs,
    ):
        super().__init__(**kwargs)
        if not 0.0 <= dropout < 1.0:
            raise ValueError(
                "`dropout` must be in the range [0, 1). "
                f"Received: dropout={dropout}"
            )
        self.dropout = dropout
        self.seed = seed
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.supports_masking = True
        if dropout:
            self.seed_generator = keras.random.SeedGenerator(seed)

    def add_kernel(self, shape, name):
        """A learned matrix, with numbers of its own.

        One Keras initializer gives two weights of one shape the same values,
        so each weight has a copy.
        """
        initializer = keras.initializers.get(
            keras.initializers.serialize(self.kernel_initializer)
        )
        return self.add_weight(shape=shape, initializer=initializer, name=name)

    def project_key(self, key):
        """Prepare keys `(B, S, key_dim)` for `score`."""
        return key

    def score(self, query, key):
        """Logits `(B, N, T, S)` of `query` `(B, T, D)` on projected keys."""
        raise NotImplementedError(
            f"{type(self).__name__} must define `score(query, key)`."
        )

    def project(self, value, key=None, *, value_mask=None, key_mask=None):
        """Do all the work on keys and values, once.

        Args:
            value: `(batch_size, key_length, value_dim)`.
            key: `(batch_size, key_length, key_dim)`; `value` by default.
            value_mask: Boolean `(batch_size, key_length)`.
            key_mask: Boolean `(batch_size, key_length)`.

        Returns:
            The memory for `attend`: a dictionary of tensors `key`, `value`
            and, if there is a mask, `mask` `(batch_size, key_length)`.
        """
        memory = {
            "key": self.project_key(value if key is None else key),
            "value": value,
        }
        value_mask = masks.check_mask(value_mask, "value_mask")
        key_mask = masks.check_mask(key_mask, "key_mask")
        if value_mask is not None and key_mask is not None:
            memory["mask"] = ops.logical_and(value_mask, key_mask)
        elif value_mask is not None or key_mask is not None:
            memory["mask"] = key_mask if value_mask is None else value_mask
        return memory

    def attend(
        self,
        query,
        memory,
        *,
        query_mask=None,
        attention_mask=None,
        use_causal_mask=False,
        return_attention_scores=False,
        training=None,
    ):
        """Look at a memory that `project` made.

        Args:
            query: `(batch_size, query_length, query_dim)`.
            memory: What `project` returned.
            query_mask, attention_mask, use_causal_mask: As in `call`.
            return_attention_scores: As in `call`.
            training: Whether dropout is active.

        Returns:
            As `call`.
        """
        mask = masks.combine_masks(
            ops.shape(query)[1],
            ops.shape(memory["value"])[1],
            query_mask=query_mask,
            value_mask=memory.get("mask"),
            attention_mask=attention_mask,
            use_causal_mask=use_causal_mask,
        )
        scores = masks.masked_softmax(self.score(query, memory["key"]), mask)
        context = self.combine(scores, memory["value"], training=training)
        recording.record(self, scores)
        return (context, scores) if return_attention_scores else context

    def combine(self, scores, value, training=None):
        """Weighted sum of values: `(batch_size, query_length, value_dim)`."""
        weights = ops.cast(scores, self.compute_dtype)
        if training and self.dropout:
            seed = draw_seed(self.seed_generator)
            weights = drop(weights, self.dropout, seed)
        # These layers have one head: BTS,BSD->BTD.
        return ops.matmul(ops.squeeze(weights, axis=1), value)

    def call(
        self,
        query,
        value,
        key=None,
        *,
        query_mask=None,
        value_mask=None,
        key_mask=None,
        attention_mask=None,
        use_causal_mask=False,
        return_attention_scores=False,
        training=None,
    ):
        """See the class."""
        memory = self.project(
            value, key, value_mask=value_mask, key_mask=key_mask
        )
        return self.attend(
            query,
            memory,
            query_mask=query_mask,
            attention_mask=attention_mask,
            use_causal_mask=use_causal_mask,
            return_attention_scores=return_attention_scores,
            training=training,
        )

    def get_config(self):
        config = super().get_config()
        config.update(
            {
                "dropout": self.dropout,
                "seed": self.seed,
                "kernel_initializer": keras.initializers.serialize(
                    self.kernel_initializer
                ),
            }
        )
        return config


CALL_ARGUMENTS = """
    Call arguments:
        query: `(batch_size, query_length, query_dim)`.
        value: `(batch_size, key_length, value_dim)`.
        key: `(batch_size, key_length, key_dim)`; `value` by default.
        query_mask: Boolean `(batch_size, query_length)`; a False row attends
            to nothing.
        value_mask: Boolean `(batch_size, key_length)`, True = may attend.
        key_mask: Boolean `(batch_size, key_length)`, True = may attend.
        attention_mask: Boolean `(T, S)`, `(B, T, S)` or `(B, N, T, S)`.
        use_causal_mask: Whether query row `t` sees only the keys up to
            position `key_length - query_length + t`.
        return_attention_scores: Whether to return the scores too. Asking
            never changes the output.
        training: Whether dropout is active.

    Returns:
        The context `(batch_size, query_length, value_dim)`, or
        `(context, scores)`. Scores have the shape
        `(batch_size, 1, query_length, key_length)`, float32, after mask and
        softmax, before dropout. Rows sum to 1 over the allowed keys; a query
        with no allowed key has scores 0 and context 0.

    Raises:
        ValueError: If a mask is not boolean.
"""

"""Attention pooling."""

import keras
from keras import ops

from layers import masks
from layers import recording
from layers._attention_layer import AttentionLayer
from layers._attention_layer import project_features
from layers.dropout import drop


@keras.saving.register_keras_serializable(package="attention_zoo")
class AttentionPooling(AttentionLayer):
    """A sequence as a few weighted sums of its own states.

        weights = softmax(W_2 H^T)                 without `units`
        weights = softmax(W_2 tanh(W_1 H^T))       with `units`
        output = weights H

    H holds the states, one a row, and each row of W_2 is a learned query that
    asks for something else. Three forms are common:

    - `AttentionPooling()`: one learned vector says how much each state
      counts (self-attention pooling). The sequence becomes one vector.
    - `AttentionPooling(num_queries=4)`: learned queries that look at the
      states by a dot product.
    - `AttentionPooling(num_queries=4, units=32)`: the structured
      self-attention of Lin et al., often with a `penalty`.

    Args:
        num_queries: Number of weighted sums. None is one, without an axis of
            its own.
        units: Width of the layer with tanh before the queries; None for none.
        scale: Whether to divide the logits by the square root of the width
            of a query.
        penalty: Factor of |A A^T - I|^2 (sum of squares, mean over the
            batch), which is added to the loss of the model, with A the weights
            `(num_queries, length)`. It keeps queries apart and each on few
            states.
        dropout: Fraction of the attention weights to drop in training.
        seed: Seed of the dropout.
        kernel_initializer: Initializer of W_1 and W_2.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: `(batch_size, length, dim)`.
        mask: Boolean `(batch_size, length)`, True = may be attended.
        return_attention_scores: Whether to return the scores too. Asking
            never changes the output.
        training: Whether dropout is active.

    Returns:
        `(batch_size, num_queries, dim)`, or `(batch_size, dim)` if
        `num_queries` is None; or `(outputs, scores)`. Scores have the shape
        `(batch_size, 1, num_queries, length)`, float32, after mask and
        softmax, before dropout. A row with no allowed state has scores 0 and
        output 0.

    Raises:
        ValueError: If the mask is not boolean.

    Example:

    >>> sentence = AttentionPooling()(states, mask=token_ids != 0)

    Reference:
        [Lin et al., 2017](https://arxiv.org/abs/1703.03130), sections 2.1 and
        2.2.
    """

    def __init__(
        self,
        num_queries=None,
        units=None,
        scale=False,
        penalty=0.0,
        dropout=0.0,
        seed=None,
        kernel_initializer="glorot_uniform",
        **kwargs,
    ):
        super().__init__(
            dropout=dropout,
            seed=seed,
            kernel_initializer=kernel_initializer,
            **kwargs,
        )
        if num_queries is not None and num_queries < 1:
            raise ValueError(
                "`num_queries` must be at least 1, or None. "
                f"Received: num_queries={num_queries}"
            )
        self.num_queries = num_queries
        self.units = units
        self.scale = scale
        self.penalty = penalty

    def build(self, inputs_shape):
        width = inputs_shape[-1]
        if self.units is not None:
            self.kernel = self.add_kernel((width, self.units), name="kernel")
            width = self.units
        self.query_kernel = self.add_kernel(
            (width, self.num_queries or 1), name="query_kernel"
        )

    def compute_mask(self, inputs, mask=None):
        return None  # the axis of the mask is gone

    def call(
        self,
        inputs,
        *,
        mask=None,
        return_attention_scores=False,
        training=None,
    ):
        mask = masks.check_mask(mask, "mask", rank=2)
        if mask is not None:
            mask = mask[:, None, None, :]
        scores = masks.masked_softmax(self._logits(inputs), mask)
        if recording.is_recording():
            recording.record(self, scores)
        if self.penalty:
            self.add_loss(self.penalty * _overlap(scores))
        weights = ops.cast(scores, inputs.dtype)
        seed = self.draw_dropout_seed(training)
        if seed is not None:
            weights = drop(weights, self.dropout, seed)
        # BQS,BSD->BQD
        outputs = ops.matmul(ops.squeeze(weights, axis=1), inputs)
        if self.num_queries is None:
            outputs = ops.squeeze(outputs, axis=1)
        return (outputs, scores) if return_attention_scores else outputs

    def _logits(self, inputs):
        """`(batch_size, 1, num_queries, length)`."""
        if self.units is not None:
            inputs = ops.tanh(project_features(inputs, self.kernel))
        kernel = self.query_kernel
        if self.scale:
            # As a tensor: on torch a variable of Keras would be multiplied by
            # a number that was rounded to float32.
            kernel = ops.cast(kernel, inputs.dtype) * kernel.shape[0] ** -0.5
        logits = project_features(inputs, kernel)
        return ops.swapaxes(logits, 1, 2)[:, None]

    def get_config(self):
        config = super().get_config()
        config.update(
            {
                "num_queries": self.num_queries,
                "units": self.units,
                "scale": self.scale,
                "penalty": self.penalty,
            }
        )
        return config


def _overlap(scores):
    """|A A^T - I|^2 of scores A, a scalar: the mean over the batch."""
    scores = ops.squeeze(scores, axis=1)
    products = ops.matmul(scores, ops.swapaxes(scores, 1, 2))
    distance = products - ops.eye(scores.shape[1], dtype=scores.dtype)
    return ops.mean(ops.sum(ops.square(distance), axis=(1, 2)))

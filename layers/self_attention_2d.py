"""Self-attention over feature maps."""

import keras
from keras import ops

from layers import masks
from layers import recording
from layers._attention_layer import AttentionLayer
from layers._attention_layer import project_features
from layers._attention_path import attend
from layers._attention_scores import DotProduct
from layers._call_masks import collect_masks


@keras.saving.register_keras_serializable(package="attention_zoo")
class SelfAttention2D(AttentionLayer):
    """Self-attention of the positions of a feature map (SAGAN).

        scores = softmax over i of (W_q x_j) . (W_k x_i)
        o_j = W_o (sum over i of scores_ji W_v x_i)
        y_j = gamma o_j + x_j

    Each position of the map is a query that sees all positions, however far.
    The four matrices are convolutions of size 1 (in the paper g, f, v and h,
    for query, key, output and value). gamma is one learned number that starts
    at 0, so that a new layer passes its inputs on as they are and learns to
    look further. As in the paper nothing is scaled by the width.

    A convolution is a special case: a head whose scores are 1 at one fixed
    offset shifts the map, and a sum of shifts, each with its own W_o W_v, is
    a convolution.

    Args:
        key_dim: Width of queries and keys; by default an eighth of the
            channels, as in the paper, and at least 1.
        value_dim: Width of values; `key_dim` by default.
        blockwise: Whether to compute the scores in blocks and, for the
            gradient, again, in memory that grows with the number of positions
            and not with its square; None does so where it pays, by the sizes
            that are known when the layer is called.
        dropout: Fraction of the attention weights to drop in training.
        seed: Seed of the dropout.
        kernel_initializer: Initializer of the four matrices.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: `(batch_size, height, width, channels)`.
        mask: Boolean `(batch_size, height, width)`. A False position is
            attended to by none and attends to nothing, so it stays as it is.
        return_attention_scores: Whether to return the scores too. Asking
            never changes the output.
        training: Whether dropout is active.

    Returns:
        A tensor of the shape of the inputs, or `(outputs, scores)`. Scores
        have the shape `(batch_size, 1, height * width, height * width)`,
        positions row by row, float32, after mask and softmax, before dropout.

    Raises:
        ValueError: If the mask is not boolean or has other axes.

    Example:

    >>> outputs = SelfAttention2D()(feature_maps)

    Reference:
        [Zhang et al., 2019](https://arxiv.org/abs/1805.08318), section 3,
        equations 1 to 3.
    """

    def __init__(
        self,
        key_dim=None,
        value_dim=None,
        blockwise=None,
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
        self.key_dim = key_dim
        self.value_dim = value_dim
        self.blockwise = blockwise

    def build(self, inputs_shape):
        channels = inputs_shape[-1]
        key_dim = self.key_dim or max(1, channels // 8)
        value_dim = self.value_dim or key_dim
        self.query_kernel = self.add_kernel(
            (channels, key_dim), name="query_kernel"
        )
        self.key_kernel = self.add_kernel(
            (channels, key_dim), name="key_kernel"
        )
        self.value_kernel = self.add_kernel(
            (channels, value_dim), name="value_kernel"
        )
        self.output_kernel = self.add_kernel(
            (value_dim, channels), name="output_kernel"
        )
        self.gamma = self.add_weight(
            shape=(), initializer="zeros", name="gamma"
        )

    def call(
        self,
        inputs,
        *,
        mask=None,
        return_attention_scores=False,
        training=None,
    ):
        batch_size, height, width, channels = ops.shape(inputs)
        length = height * width
        mask = _flatten_mask(mask, length)
        places = ops.reshape(inputs, (batch_size, length, channels))
        asked = return_attention_scores or recording.is_recording()
        # One head: (B, P, C) -> (B, 1, P, H).
        context, scores = attend(
            DotProduct(),
            project_features(places, self.query_kernel)[:, None],
            project_features(places, self.key_kernel)[:, None],
            project_features(places, self.value_kernel)[:, None],
            (),
            collect_masks(query_mask=mask, key_mask=mask),
            rate=self.dropout,
            seed=self.draw_dropout_seed(training),
            blockwise=self.blockwise,
            asked=asked,
        )
        context = project_features(
            ops.squeeze(context, axis=1), self.output_kernel
        )
        context = ops.reshape(context, (batch_size, height, width, channels))
        outputs = inputs + self.gamma * context
        if asked:
            recording.record(self, scores)
        return (outputs, scores) if return_attention_scores else outputs

    def compute_output_spec(
        self,
        inputs,
        *,
        mask=None,
        return_attention_scores=False,
        training=None,
    ):
        # Said here, not found by a trial call: torch makes one with 83 and 89
        # for each unknown size, and the scores of 83 maps of 83 x 83 places
        # have 16 GB.
        _check_mask(mask)
        outputs = keras.KerasTensor(inputs.shape, dtype=self.compute_dtype)
        if not return_attention_scores:
            return outputs
        batch_size, height, width, _ = inputs.shape
        length = None if None in (height, width) else height * width
        scores = keras.KerasTensor(
            (batch_size, 1, length, length),
            dtype=keras.backend.result_type(self.compute_dtype, "float32"),
        )
        return outputs, scores

    def get_config(self):
        config = super().get_config()
        config.update(
            {
                "key_dim": self.key_dim,
                "value_dim": self.value_dim,
                "blockwise": self.blockwise,
            }
        )
        return config


def _flatten_mask(mask, length):
    """`(B, height, width)` -> `(B, height * width)`."""
    mask = _check_mask(mask)
    return None if mask is None else ops.reshape(mask, (-1, length))


def _check_mask(mask):
    """The mask as a tensor, if it is one that fits a map."""
    mask = masks.check_mask(mask, "mask")
    if mask is not None and len(mask.shape) != 3:
        raise ValueError(
            "`mask` must have the shape (batch_size, height, width). "
            f"Received: mask.shape={tuple(mask.shape)}"
        )
    return mask

"""Local attention."""

import keras
from keras import ops

from layers._attention_layer import project_features
from layers._call_contract import CALL_ARGUMENTS
from layers._query_key_attention import QueryKeyAttention
from layers.masks import last_position
from layers.masks import masked_softmax
from layers.multiplicative_attention import MultiplicativeAttention

ALIGNMENTS = ("monotonic", "predictive")


@keras.saving.register_keras_serializable(package="attention_zoo")
class LocalAttention(MultiplicativeAttention):
    __doc__ = f"""Attention to a window of keys (Luong).

    Query t sees the keys at most D = `window_size` from its centre p_t, and
    is scored against them as in `MultiplicativeAttention`. The centre is

        p_t = t                                     "monotonic"
        p_t = S sigmoid(v_p . tanh(W_p q_t))        "predictive"

    "predictive" also favours the keys near the centre: after the softmax over
    the window, weight s is multiplied by

        exp(-(s - p_t)^2 / (2 sigma^2)),    sigma = D / 2

    so its weights sum to less than 1, as in the paper.

    "monotonic" counts queries and keys from 0, as translation from one
    sequence to another does. Under the causal mask, that of one sequence
    looking at itself, query row t stands where this mask has it, at
    `key_length - query_length + t`. A query of a decoder that calls `attend`
    one step at a time is always row 0, so there use "predictive".

    S is one more than the position of the last key that the query may see:
    the length of the sentence without its padding.

    Args:
        window_size: Farthest distance D of a key from the centre.
        alignment: `"monotonic"` or `"predictive"`.
        units: Width of W_p, for "predictive"; that of the query by default.
        score_mode: `"general"` or `"dot"`, as in `MultiplicativeAttention`.
        blockwise: As in `MultiplicativeAttention`, for "monotonic" only.
        dropout: Fraction of the attention weights to drop in training.
        seed: Seed of the dropout.
        kernel_initializer: Initializer of W, W_p and v_p.
        **kwargs: Arguments of `keras.layers.Layer`.
    {CALL_ARGUMENTS}
    Example:

    >>> layer = LocalAttention(window_size=10, alignment="predictive")
    >>> context = layer(decoder_states, encoder_states, value_mask=mask)

    Reference:
        [Luong et al., 2015](https://arxiv.org/abs/1508.04025), section 3.2,
        equations 9 and 10.
    """

    def __init__(
        self,
        window_size,
        alignment="monotonic",
        units=None,
        score_mode="general",
        blockwise=None,
        dropout=0.0,
        seed=None,
        kernel_initializer="glorot_uniform",
        **kwargs,
    ):
        super().__init__(
            score_mode=score_mode,
            window_size=window_size,
            blockwise=blockwise,
            dropout=dropout,
            seed=seed,
            kernel_initializer=kernel_initializer,
            **kwargs,
        )
        if alignment not in ALIGNMENTS:
            raise ValueError(
                f"`alignment` must be one of {ALIGNMENTS}. "
                f"Received: alignment={alignment!r}"
            )
        predictive = alignment == "predictive"
        if window_size is None or (predictive and window_size == 0):
            # A Gaussian of width 0 would divide by it.
            raise ValueError(
                f"`window_size` must be at least {int(predictive)}. "
                f"Received: window_size={window_size}"
            )
        if predictive and blockwise:
            raise ValueError(
                '`alignment="predictive"` needs all scores at once. '
                f"Received: blockwise={blockwise}"
            )
        self.alignment = alignment
        self.units = units

    def build(self, query_shape, value_shape, key_shape=None):
        super().build(query_shape, value_shape, key_shape)
        if self.alignment == "predictive":
            units = query_shape[-1] if self.units is None else self.units
            self.position_kernel = self.add_kernel(
                (query_shape[-1], units), name="position_kernel"
            )
            self.position_score_kernel = self.add_kernel(
                (units, 1), name="position_score_kernel"
            )

    @property
    def needs_positions(self):
        return self.alignment == "monotonic"

    def look(self, query, memory, given, seed=None, asked=True):
        if self.alignment == "monotonic":
            if not given.use_causal_mask:
                given = given._replace(offset=0)
            return super().look(query, memory, given, seed, asked)
        # The window is not where the query stands: `weigh` has it.
        given = given._replace(window_size=None)
        return QueryKeyAttention.look(self, query, memory, given, seed, asked)

    def weigh(self, query, key, mask, given):
        key_length = ops.shape(key)[1]
        centre = self._predict_centre(query, mask, key_length)
        positions = ops.cast(ops.arange(key_length), centre.dtype)
        distance = positions - centre  # (B, 1, T, S)
        window = ops.abs(distance) <= self.window_size
        mask = window if mask is None else ops.logical_and(mask, window)
        logits = ops.matmul(query, ops.swapaxes(key, 1, 2))[:, None]
        gaussian = ops.exp(-2.0 * ops.square(distance / self.window_size))
        scores = masked_softmax(logits, mask) * gaussian
        # The zeros are there already. Without them, TensorFlow would fold the
        # Gaussian and the factor of dropout into one where nobody asks for
        # scores, and the context would differ in its last bit.
        return ops.where(mask, scores, 0.0)

    def _predict_centre(self, query, mask, key_length):
        """p_t, `(B, 1, T, 1)`, in float32 or wider."""
        wide = keras.backend.result_type(query.dtype, "float32")
        kernel = ops.cast(self.position_kernel, wide)
        score_kernel = ops.cast(self.position_score_kernel, wide)
        features = ops.tanh(project_features(ops.cast(query, wide), kernel))
        share = ops.sigmoid(project_features(features, score_kernel))
        length = key_length
        if mask is not None:
            last = last_position(mask, key_length)
            length = last[:, None, :, None] + 1
        return share[:, None] * ops.cast(length, wide)

    def get_config(self):
        config = super().get_config()
        config.update({"alignment": self.alignment, "units": self.units})
        return config

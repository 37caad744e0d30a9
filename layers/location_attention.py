"""Location attention."""

import keras
from keras import ops

from layers._attention_layer import project_features
from layers._call_contract import CALL_ARGUMENTS
from layers._query_key_attention import QueryKeyAttention
from layers.masks import last_position
from layers.masks import masked_softmax


@keras.saving.register_keras_serializable(package="attention_zoo")
class LocationAttention(QueryKeyAttention):
    __doc__ = f"""Attention whose weights are guessed from states, not keys.

        logits = W [q; k] + b,    one for each position
        weights = softmax of the logits of the positions there are

    The linear map has one output for each of `max_length` positions, so there
    are never more keys than that, and a position means the same in every
    sentence. No key is compared with the query: k is one *key state* that
    stands for all keys, such as the last state of an encoder: here the last
    key that the query may see. To use another state, repeat it along the axis
    of the keys.

    With `use_key=False` the query alone decides, W q + b: Luong's "location",
    which has no bias.

    With `output_dim` the context is joined with the query once more:

        output = W_o [q; context] + b_o

    which a query with no allowed key has too, with a context of 0.

    Args:
        max_length: Most keys there can be.
        output_dim: Width of the output; None returns the context itself.
        use_key: Whether the key state is part of the input.
        use_bias: Whether the linear maps have a bias.
        dropout: Fraction of the attention weights to drop in training.
        seed: Seed of the dropout.
        kernel_initializer: Initializer of W and W_o.
        **kwargs: Arguments of `keras.layers.Layer`.
    {CALL_ARGUMENTS}
        ValueError: If there are more than `max_length` keys, where their
            number is known.

    Example:

    >>> layer = LocationAttention(max_length=50)
    >>> context = layer(decoder_states, encoder_states, value_mask=mask)

    Reference:
        [Luong et al., 2015](https://arxiv.org/abs/1508.04025), section 3.1,
        "location".
    """

    def __init__(
        self,
        max_length,
        output_dim=None,
        use_key=True,
        use_bias=True,
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
        if max_length < 1:
            raise ValueError(
                "`max_length` must be at least 1. "
                f"Received: max_length={max_length}"
            )
        self.max_length = max_length
        self.output_dim = output_dim
        self.use_key = use_key
        self.use_bias = use_bias

    def context_dim(self, query_dim, value_dim):
        return self.output_dim or value_dim

    def build(self, query_shape, value_shape, key_shape=None):
        key_shape = value_shape if key_shape is None else key_shape
        key_dim = key_shape[-1] if self.use_key else 0
        # One matrix, as the formula has it: the rows of the query come first.
        self.kernel = self.add_kernel(
            (query_shape[-1] + key_dim, self.max_length), name="kernel"
        )
        if self.use_bias:
            self.bias = self.add_weight(
                shape=(self.max_length,), initializer="zeros", name="bias"
            )
        if self.output_dim is None:
            return
        self.output_kernel = self.add_kernel(
            (query_shape[-1] + value_shape[-1], self.output_dim),
            name="output_kernel",
        )
        if self.use_bias:
            self.output_bias = self.add_weight(
                shape=(self.output_dim,),
                initializer="zeros",
                name="output_bias",
            )

    def compute_output_spec(self, query, value, key=None, **options):
        self._check_length(value.shape[1])
        return super().compute_output_spec(query, value, key, **options)

    def _check_length(self, key_length):
        if isinstance(key_length, int) and key_length > self.max_length:
            raise ValueError(
                "There must be at most `max_length` keys. Received: "
                f"max_length={self.max_length}, key_length={key_length}"
            )

    def weigh(self, query, key, mask, given):
        query_dim = query.shape[-1]
        logits = project_features(query, self.kernel[:query_dim])
        if self.use_key:
            state = self._key_state(key, mask)
            logits = logits + project_features(state, self.kernel[query_dim:])
        if self.use_bias:
            logits = logits + self.bias
        key_length = ops.shape(key)[1]
        self._check_length(key_length)
        # The positions there are.
        logits = logits[..., :key_length]
        return masked_softmax(logits[:, None], mask)

    def _key_state(self, key, mask):
        """The last key that each query may see, `(B, T, key_dim)`.

        T is 1 where all queries see the same keys.
        """
        if mask is None:
            return key[:, -1:]
        batch_size, key_length, key_dim = ops.shape(key)
        last = last_position(mask, key_length)
        first_row = ops.arange(batch_size, dtype="int32") * key_length
        rows = ops.reshape(key, (-1, key_dim))
        return ops.take(rows, first_row[:, None] + last, axis=0)

    def look(self, query, memory, given, seed=None, asked=True):
        context, scores = super().look(query, memory, given, seed, asked)
        if self.output_dim is not None:
            joined = ops.concatenate([query, context], axis=-1)
            context = project_features(joined, self.output_kernel)
            if self.use_bias:
                context = context + self.output_bias
        return context, scores

    def get_config(self):
        config = super().get_config()
        config.update(
            {
                "max_length": self.max_length,
                "output_dim": self.output_dim,
                "use_key": self.use_key,
                "use_bias": self.use_bias,
            }
        )
        return config

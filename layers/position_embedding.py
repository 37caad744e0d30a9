"""Learned position embedding."""

import keras
from keras import ops

from layers._positions import known_integer
from layers._positions import row_positions


@keras.saving.register_keras_serializable(package="attention_zoo")
class PositionEmbedding(keras.layers.Layer):
    """Adds a learned vector of each position to a sequence.

        y_t = x_t + E_{start_index + t}

    As in BERT, and in ViT, where the sequence is that of the patches of a
    picture, row by row.

    Args:
        max_length: Number of positions that have a vector.
        initializer: Initializer of E. BERT and ViT use a normal distribution
            with the standard deviation 0.02.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: `(batch_size, length, dim)`.
        start_index: Position of the first row, an integer or a scalar
            tensor: a decoder that goes step by step gives the step.

    Returns:
        A tensor of the shape of `inputs`.

    Raises:
        ValueError: If the inputs reach beyond `max_length`, where that can
            be known (lengths may be known in the graph only).

    Example:

    >>> layer = PositionEmbedding(max_length=512)
    >>> outputs = layer(embedded)

    Reference:
        [Devlin et al., 2019](https://arxiv.org/abs/1810.04805), section 3;
        [Dosovitskiy et al., 2021](https://arxiv.org/abs/2010.11929),
        equation 1.
    """

    def __init__(self, max_length, initializer="truncated_normal", **kwargs):
        super().__init__(**kwargs)
        if max_length < 1:
            raise ValueError(
                "`max_length` must be at least 1. "
                f"Received: max_length={max_length}"
            )
        self.max_length = max_length
        self.initializer = keras.initializers.get(initializer)
        self.supports_masking = True
        self.input_spec = keras.layers.InputSpec(ndim=3)

    def build(self, inputs_shape):
        self.embeddings = self.add_weight(
            shape=(self.max_length, inputs_shape[-1]),
            # A copy: an initializer gives each weight of a shape the same.
            initializer=keras.initializers.get(
                keras.initializers.serialize(self.initializer)
            ),
            name="embeddings",
        )

    def call(self, inputs, start_index=0):
        length = ops.shape(inputs)[1]
        self._check_room(known_integer(start_index), known_integer(length))
        embeddings = ops.cast(self.embeddings, inputs.dtype)
        if isinstance(start_index, int) and isinstance(length, int):
            # The gradient of a slice is cheaper than that of a look-up.
            return inputs + embeddings[start_index : start_index + length]
        places = row_positions(start_index, length)
        return inputs + ops.take(embeddings, places, axis=0)

    def compute_output_shape(self, inputs_shape):
        self._check_room(0, inputs_shape[1])
        return inputs_shape

    def _check_room(self, start_index, length):
        """Raise if positions are outside; None is a number not known."""
        first = start_index or 0
        if first < 0 or first + (length or 0) > self.max_length:
            raise ValueError(
                "All positions must lie in the range [0, max_length). "
                f"Received: max_length={self.max_length}, "
                f"start_index={start_index}, length={length}"
            )

    def get_config(self):
        config = super().get_config()
        config.update(
            {
                "max_length": self.max_length,
                "initializer": keras.initializers.serialize(self.initializer),
            }
        )
        return config

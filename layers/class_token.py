"""Learned tokens in front of a sequence."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="attention_zoo")
class ClassToken(keras.layers.Layer):
    """Puts learned tokens in front of a sequence.

        y = [c_1, ..., c_num_tokens, x_1, ..., x_P]

    They stand for no word and no patch. Attention lets them collect what
    the whole sequence says, and a classifier reads them.

    Args:
        num_tokens: Number of tokens.
        initializer: Initializer of the tokens.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: `(batch_size, length, dim)`.

    Returns:
        `(batch_size, num_tokens + length, dim)`. An implicit mask of the
        inputs gets True in front.

    Raises:
        ValueError: If `num_tokens` is less than 1.

    Example:

    >>> sequence = ClassToken()(patches)
    >>> summary = encoder(sequence)[:, 0]

    Reference:
        [Devlin et al., 2019](https://arxiv.org/abs/1810.04805), section 3;
        [Dosovitskiy et al., 2021](https://arxiv.org/abs/2010.11929),
        equation 1.
    """

    def __init__(self, num_tokens=1, initializer="truncated_normal", **kwargs):
        super().__init__(**kwargs)
        if num_tokens < 1:
            raise ValueError(
                "`num_tokens` must be at least 1. "
                f"Received: num_tokens={num_tokens}"
            )
        self.num_tokens = num_tokens
        self.initializer = keras.initializers.get(initializer)
        self.supports_masking = True
        self.input_spec = keras.layers.InputSpec(ndim=3)

    def build(self, inputs_shape):
        self.tokens = self.add_weight(
            shape=(self.num_tokens, inputs_shape[-1]),
            # A copy: an initializer gives each weight of a shape the same.
            initializer=keras.initializers.get(
                keras.initializers.serialize(self.initializer)
            ),
            name="tokens",
        )

    def call(self, inputs):
        tokens = ops.broadcast_to(
            ops.cast(self.tokens, inputs.dtype),
            (ops.shape(inputs)[0], *self.tokens.shape),
        )
        return ops.concatenate([tokens, inputs], axis=1)

    def compute_mask(self, inputs, mask=None):
        if mask is None:
            return None
        # By slices, since a symbolic mask does not tell its batch size.
        front = ops.ones_like(mask[:, :1])
        return ops.concatenate([*[front] * self.num_tokens, mask], axis=1)

    def compute_output_shape(self, inputs_shape):
        batch_size, length, dim = inputs_shape
        if length is not None:
            length += self.num_tokens
        return batch_size, length, dim

    def get_config(self):
        config = super().get_config()
        config.update(
            {
                "num_tokens": self.num_tokens,
                "initializer": keras.initializers.serialize(self.initializer),
            }
        )
        return config

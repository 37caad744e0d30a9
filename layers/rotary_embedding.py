"""Rotary position embedding."""

import keras
from keras import ops

from layers._positions import position_angles


@keras.saving.register_keras_serializable(package="attention_zoo")
class RotaryEmbedding(keras.layers.Layer):
    """Turns queries and keys by their position (Su).

    Each pair of features (x, y) at a position is turned by an angle:

        x' = x cos(a) - y sin(a)
        y' = y cos(a) + x sin(a)
        a  = position / max_wavelength^(2i / dim)   for pair i

    So the dot product of a query and a key depends on the distance of their
    positions alone, and lengths of vectors stay.

    The pair i is (feature i, feature i + dim / 2), the "half" layout of
    GPT-NeoX and Llama. The paper pairs the neighbours 2i and 2i + 1: the
    same up to the order of the features, which matters only to one who
    loads weights that were learned in the other layout. Angles and products
    are float32 or wider under every precision policy.

    Args:
        max_wavelength: The base of the angles.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: `(..., length, dim)`, so `(batch_size, num_heads, length,
            key_dim)` too; `dim` is even.
        start_index: Position of the first row, an integer or a scalar
            tensor.

    Returns:
        A tensor of the shape of `inputs`.

    Raises:
        ValueError: If `dim` is odd, or `start_index` is no scalar.

    Example:

    >>> layer = RotaryEmbedding()
    >>> scores = layer(query) @ ops.swapaxes(layer(key), -1, -2)

    Reference:
        [Su et al., 2021](https://arxiv.org/abs/2104.09864), equation 34.
    """

    def __init__(self, max_wavelength=10000, **kwargs):
        super().__init__(**kwargs)
        self.max_wavelength = max_wavelength
        self.supports_masking = True
        self.input_spec = keras.layers.InputSpec(min_ndim=2)

    def build(self, inputs_shape):
        if inputs_shape[-1] % 2:
            raise ValueError(
                "The last axis must be even, to be cut into pairs. "
                f"Received: inputs.shape={tuple(inputs_shape)}"
            )

    def call(self, inputs, start_index=0):
        angles = position_angles(
            start_index,
            ops.shape(inputs)[-2],
            inputs.shape[-1],
            self.max_wavelength,
            self.compute_dtype,
        )
        cosine, sine = ops.cos(angles), ops.sin(angles)
        first, second = ops.split(ops.cast(inputs, angles.dtype), 2, axis=-1)
        turned = ops.concatenate(
            [first * cosine - second * sine, second * cosine + first * sine],
            axis=-1,
        )
        return ops.cast(turned, inputs.dtype)

    def compute_output_shape(self, inputs_shape):
        return inputs_shape

    def get_config(self):
        config = super().get_config()
        config.update({"max_wavelength": self.max_wavelength})
        return config

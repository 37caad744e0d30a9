"""Sinusoidal position encoding."""

import keras
from keras import ops

from layers._positions import position_angles


@keras.saving.register_keras_serializable(package="attention_zoo")
class SinusoidalPositionEncoding(keras.layers.Layer):
    """Adds a fixed wave of each position to a sequence (Vaswani).

        PE(position, 2i)     = sin(position / max_wavelength^(2i / dim))
        PE(position, 2i + 1) = cos(position / max_wavelength^(2i / dim))

    There is nothing to learn, and no longest length. Sine and cosine take
    turns along the features, as in the equation; with an odd number of
    features the last one is a sine. Angles are float32 or wider under every
    precision policy, so a position keeps its encoding up to the last cast.

    Args:
        max_wavelength: The base of the wavelengths, which go from 2 pi to
            `max_wavelength` times 2 pi.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: `(batch_size, length, dim)`.
        start_index: Position of the first row, an integer or a scalar
            tensor: a decoder that goes step by step gives the step.

    Returns:
        A tensor of the shape of `inputs`.

    Raises:
        ValueError: If the inputs do not have three axes, or `start_index`
            is no scalar.

    Example:

    >>> layer = SinusoidalPositionEncoding()
    >>> whole = layer(embedded)
    >>> third = layer(embedded[:, 2:3], start_index=2)  # equals whole[:, 2:3]

    Reference:
        [Vaswani et al., 2017](https://arxiv.org/abs/1706.03762), section 3.5.
    """

    def __init__(self, max_wavelength=10000, **kwargs):
        super().__init__(**kwargs)
        self.max_wavelength = max_wavelength
        self.supports_masking = True
        self.input_spec = keras.layers.InputSpec(ndim=3)

    def call(self, inputs, start_index=0):
        length, dim = ops.shape(inputs)[1], inputs.shape[2]
        angles = position_angles(
            start_index, length, dim, self.max_wavelength, self.compute_dtype
        )
        # (length, pairs, 2): sine and cosine take turns.
        waves = ops.stack([ops.sin(angles), ops.cos(angles)], axis=-1)
        encoding = ops.reshape(waves, (length, 2 * angles.shape[1]))[:, :dim]
        return inputs + ops.cast(encoding, inputs.dtype)

    def compute_output_shape(self, inputs_shape):
        return inputs_shape

    def get_config(self):
        config = super().get_config()
        config.update({"max_wavelength": self.max_wavelength})
        return config

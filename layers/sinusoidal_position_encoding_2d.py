"""Sinusoidal position encoding of places in a picture."""

import keras
from keras import ops

from layers._grid import grid_of
from layers._positions import position_angles


@keras.saving.register_keras_serializable(package="attention_zoo")
class SinusoidalPositionEncoding2D(keras.layers.Layer):
    """Adds fixed waves of row and column to a sequence of patches.

        y = x + [PE(row); PE(column)]

    with PE the encoding of Vaswani et al. in half of the features:

        PE(position, 2i)     = sin(position / max_wavelength^(4i / dim))
        PE(position, 2i + 1) = cos(position / max_wavelength^(4i / dim))

    Nothing is learned, and pictures may be of any size. Tokens in front of
    the patches, as a class token, get nothing. Angles are float32 or wider
    under every precision policy.

    Args:
        num_prefix_tokens: Number of tokens in front of the patches.
        max_wavelength: The base of the wavelengths.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: `(batch_size, num_prefix_tokens + rows * columns, dim)`,
            patches row by row; `dim` is even.
        grid_shape: `(rows, columns)`; None for a square.

    Returns:
        A tensor of the shape of `inputs`.

    Raises:
        ValueError: If `dim` is odd, or the grid does not fit the length.

    Example:

    >>> outputs = SinusoidalPositionEncoding2D()(patches, grid_shape=(7, 11))

    References:
        [Carion et al., 2020](https://arxiv.org/abs/2005.12872), appendix
        A.4; waves: [Vaswani et al., 2017](https://arxiv.org/abs/1706.03762),
        section 3.5.
    """

    def __init__(self, num_prefix_tokens=0, max_wavelength=10000, **kwargs):
        super().__init__(**kwargs)
        self.num_prefix_tokens = num_prefix_tokens
        self.max_wavelength = max_wavelength
        self.input_spec = keras.layers.InputSpec(ndim=3)

    def build(self, inputs_shape):
        if inputs_shape[-1] % 2:
            raise ValueError(
                "Rows and columns have half of the features each, so their "
                f"number must be even. Received: dim={inputs_shape[-1]}"
            )

    def call(self, inputs, grid_shape=None):
        length, dim = ops.shape(inputs)[1], inputs.shape[2]
        num_patches = length - self.num_prefix_tokens
        rows, columns = grid_of(num_patches, grid_shape)
        half = dim // 2
        shape = (rows, columns, half)
        encoding = ops.concatenate(
            [
                ops.broadcast_to(self._waves(rows, half)[:, None], shape),
                ops.broadcast_to(self._waves(columns, half)[None], shape),
            ],
            axis=-1,
        )
        encoding = ops.reshape(encoding, (-1, dim))
        nothing = ops.zeros((self.num_prefix_tokens, dim), encoding.dtype)
        encoding = ops.concatenate([nothing, encoding], axis=0)
        return inputs + ops.cast(encoding, inputs.dtype)

    def _waves(self, count, dim):
        """`(count, dim)`: sine and cosine take turns."""
        angles = position_angles(
            0, count, dim, self.max_wavelength, self.compute_dtype
        )
        waves = ops.stack([ops.sin(angles), ops.cos(angles)], axis=-1)
        return ops.reshape(waves, (count, 2 * angles.shape[1]))[:, :dim]

    def compute_output_shape(self, inputs_shape):
        return inputs_shape

    def get_config(self):
        config = super().get_config()
        config.update(
            {
                "num_prefix_tokens": self.num_prefix_tokens,
                "max_wavelength": self.max_wavelength,
            }
        )
        return config

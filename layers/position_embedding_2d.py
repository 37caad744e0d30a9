"""Learned position embedding of places in a picture."""

import keras
from keras import ops

from layers._grid import grid_of
from layers._grid import resample
from layers._positions import known_integer


@keras.saving.register_keras_serializable(package="attention_zoo")
class PositionEmbedding2D(keras.layers.Layer):
    """Adds a learned vector of each place in a picture to its patch.

        y_p = x_p + E_p

    A picture of another size has another grid of patches. The vectors are
    then resampled to it by bicubic interpolation, so that what was learned
    at one size can be used, or fitted further, at another. Vectors of tokens
    in front of the patches, as a class token, are kept as they are.

    Args:
        grid_shape: `(rows, columns)` of the patches that have a vector.
        num_prefix_tokens: Number of tokens in front of the patches, which
            have vectors too.
        initializer: Initializer of E.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: `(batch_size, num_prefix_tokens + rows * columns, dim)`,
            patches row by row.
        grid_shape: `(rows, columns)` of these patches, integers or scalar
            tensors; None for those of the constructor.

    Returns:
        A tensor of the shape of `inputs`.

    Raises:
        ValueError: If the grid does not fit the length.

    Example:

    >>> layer = PositionEmbedding2D((14, 14), num_prefix_tokens=1)
    >>> outputs = layer(sequence)
    >>> larger = layer(larger_sequence, grid_shape=(24, 24))

    References:
        [Dosovitskiy et al., 2021](https://arxiv.org/abs/2010.11929), equation
        1 and section 3.2; bicubic: [Keys, 1981](
        https://doi.org/10.1109/TASSP.1981.1163711), equation 15 with
        a = -0.75, as torch has it.
    """

    def __init__(
        self,
        grid_shape,
        num_prefix_tokens=0,
        initializer="truncated_normal",
        **kwargs,
    ):
        super().__init__(**kwargs)
        if min(grid_shape) < 1:
            raise ValueError(
                "`grid_shape` must have a row and a column at least. "
                f"Received: grid_shape={grid_shape}"
            )
        self.grid_shape = grid_shape
        self.num_prefix_tokens = num_prefix_tokens
        self.initializer = keras.initializers.get(initializer)
        self.input_spec = keras.layers.InputSpec(ndim=3)

    def build(self, inputs_shape):
        rows, columns = self.grid_shape
        self.embeddings = self.add_weight(
            shape=(self.num_prefix_tokens + rows * columns, inputs_shape[-1]),
            # A copy: an initializer gives each weight of a shape the same.
            initializer=keras.initializers.get(
                keras.initializers.serialize(self.initializer)
            ),
            name="embeddings",
            autocast=False,  # interpolation is float32 or wider
        )

    def call(self, inputs, grid_shape=None):
        if grid_shape is None:
            grid_shape = self.grid_shape
        num_patches = ops.shape(inputs)[1] - self.num_prefix_tokens
        grid = grid_of(num_patches, grid_shape)
        dtype = keras.backend.result_type(self.compute_dtype, "float32")
        embeddings = ops.cast(self.embeddings, dtype)
        if [known_integer(size) for size in grid] != list(self.grid_shape):
            front = embeddings[: self.num_prefix_tokens]
            maps = ops.reshape(
                embeddings[self.num_prefix_tokens :],
                (*self.grid_shape, inputs.shape[-1]),
            )
            maps = resample(maps, grid)
            maps = ops.reshape(maps, (-1, inputs.shape[-1]))
            embeddings = ops.concatenate([front, maps], axis=0)
        return inputs + ops.cast(embeddings, inputs.dtype)

    def compute_output_shape(self, inputs_shape):
        return inputs_shape

    def get_config(self):
        config = super().get_config()
        config.update(
            {
                "grid_shape": self.grid_shape,
                "num_prefix_tokens": self.num_prefix_tokens,
                "initializer": keras.initializers.serialize(self.initializer),
            }
        )
        return config

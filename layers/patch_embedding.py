"""Pictures as sequences of patches."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="attention_zoo")
class PatchEmbedding(keras.layers.Layer):
    """Cuts pictures into patches and maps each one to a vector.

        z_p = x_p E + b

    with x_p the numbers of patch p, flattened as height, width, channels.
    Patches come row by row. It is a convolution whose stride is its size,
    written as one product of two matrices.

    Args:
        patch_size: Side of a patch in pixels, or `(height, width)`.
        hidden_dim: Width of the vectors.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        images: `(batch_size, height, width, channels)`; height and width are
            multiples of those of a patch.

    Returns:
        `(batch_size, rows * columns, hidden_dim)`, with as many rows and
        columns as patches fit.

    Raises:
        ValueError: If the size of the pictures is known and no multiple of
            that of a patch.

    Example:

    >>> patches = PatchEmbedding(patch_size=16, hidden_dim=192)(images)

    Reference:
        [Dosovitskiy et al., 2021](https://arxiv.org/abs/2010.11929),
        equation 1.
    """

    def __init__(self, patch_size, hidden_dim, **kwargs):
        super().__init__(**kwargs)
        self.patch_size = patch_size
        self.hidden_dim = hidden_dim
        self.input_spec = keras.layers.InputSpec(ndim=4)
        if min(self._patch_shape()) < 1:
            raise ValueError(
                "`patch_size` must be positive. "
                f"Received: patch_size={patch_size}"
            )

    def build(self, images_shape):
        height, width = self._patch_shape()
        self.kernel = self.add_weight(
            shape=(height * width * images_shape[-1], self.hidden_dim),
            initializer="glorot_uniform",
            name="kernel",
        )
        self.bias = self.add_weight(
            shape=(self.hidden_dim,), initializer="zeros", name="bias"
        )

    def call(self, images):
        embedded = ops.matmul(self.cut(images), self.kernel) + self.bias
        batch_size, height, width, _ = ops.shape(images)
        rows, columns = self.grid_shape(height, width)
        return ops.reshape(
            embedded, (batch_size, rows * columns, self.hidden_dim)
        )

    def grid_shape(self, height, width):
        """Rows and columns of patches of a picture of that size."""
        patch_height, patch_width = self._patch_shape()
        return height // patch_height, width // patch_width

    def cut(self, images):
        """The numbers of all patches of all pictures, one patch a row."""
        self._check_size(images.shape)
        patch_height, patch_width = self._patch_shape()
        batch_size, height, width, _ = ops.shape(images)
        rows, columns = self.grid_shape(height, width)
        # With rows beside the batch four axes do: a row of patches, pixel
        # rows, patches, pixels of one patch in one of its rows.
        pixels = ops.reshape(
            images,
            (
                batch_size * rows,
                patch_height,
                columns,
                patch_width * images.shape[-1],
            ),
        )
        numbers = patch_height * patch_width * images.shape[-1]
        return ops.reshape(ops.transpose(pixels, (0, 2, 1, 3)), (-1, numbers))

    def compute_output_shape(self, images_shape):
        self._check_size(images_shape)
        batch_size, *size, _ = images_shape
        count = None
        if None not in size:
            rows, columns = self.grid_shape(*size)
            count = rows * columns
        return batch_size, count, self.hidden_dim

    def _patch_shape(self):
        if isinstance(self.patch_size, int):
            return self.patch_size, self.patch_size
        height, width = self.patch_size
        return height, width

    def _check_size(self, images_shape):
        for size, patch in zip(images_shape[1:3], self._patch_shape()):
            if size is not None and size % patch:
                raise ValueError(
                    "Height and width of the pictures must be multiples of "
                    f"those of a patch. Received: patch_size="
                    f"{self.patch_size}, images.shape={tuple(images_shape)}"
                )

    def get_config(self):
        config = super().get_config()
        config.update(
            {"patch_size": self.patch_size, "hidden_dim": self.hidden_dim}
        )
        return config

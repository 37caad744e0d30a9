"""Pictures as sequences of what convolutions found in them."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="attention_zoo")
class ConvolutionalTokenizer(keras.layers.Layer):
    """Convolutions and pooling in place of a cut into patches (Hassani).

        x = pool(relu(convolve(x)))     `num_layers` times

    Each of them halves height and width, so a vector stands for a square of
    `2 ** num_layers` pixels and has seen some of its surroundings. What a
    small data set cannot teach, that neighbours belong together, is built in.

    Args:
        hidden_dim: Width of the vectors.
        num_layers: Number of convolutions.
        filters: Number of filters of all convolutions but the last, which
            has `hidden_dim`.
        kernel_size: Side of a filter in pixels.
        pool_size: Side of the square whose largest number is kept.
        kernel_initializer: Initializer of the filters.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        images: `(batch_size, height, width, channels)`, of any size.

    Returns:
        `(batch_size, rows * columns, hidden_dim)`, row by row; height and
        width, halved `num_layers` times and rounded up, are rows and columns.

    Raises:
        ValueError: If `num_layers` is less than 1.

    Example:

    >>> tokens = ConvolutionalTokenizer(hidden_dim=128, num_layers=2)(images)

    Reference:
        [Hassani et al., 2021](https://arxiv.org/abs/2104.05704), section 3.3.
    """

    def __init__(
        self,
        hidden_dim,
        num_layers=1,
        filters=64,
        kernel_size=3,
        pool_size=3,
        kernel_initializer="he_normal",
        **kwargs,
    ):
        super().__init__(**kwargs)
        if num_layers < 1:
            raise ValueError(
                "`num_layers` must be at least 1. "
                f"Received: num_layers={num_layers}"
            )
        self.hidden_dim = hidden_dim
        self.num_layers = num_layers
        self.filters = filters
        self.kernel_size = kernel_size
        self.pool_size = pool_size
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.input_spec = keras.layers.InputSpec(ndim=4)
        options = {"padding": "same", "dtype": self.dtype_policy}
        self.convolutions = [
            keras.layers.Conv2D(
                hidden_dim if place == num_layers - 1 else filters,
                kernel_size,
                activation="relu",
                use_bias=False,
                # A copy: an initializer gives each weight of a shape the
                # same.
                kernel_initializer=keras.initializers.get(
                    keras.initializers.serialize(self.kernel_initializer)
                ),
                name=f"convolution_{place}",
                **options,
            )
            for place in range(num_layers)
        ]
        self.pooling = keras.layers.MaxPooling2D(
            pool_size, strides=2, name="pooling", **options
        )

    def build(self, images_shape):
        channels = images_shape[-1]
        for convolution in self.convolutions:
            convolution.build((None, None, None, channels))
            channels = convolution.filters

    def call(self, images):
        maps = images
        for convolution in self.convolutions:
            maps = self.pooling(convolution(maps))
        batch_size, rows, columns, _ = ops.shape(maps)
        return ops.reshape(maps, (batch_size, rows * columns, self.hidden_dim))

    def grid_shape(self, height, width):
        """Rows and columns of vectors of a picture of that size."""
        for _ in range(self.num_layers):
            height, width = (height + 1) // 2, (width + 1) // 2
        return height, width

    def compute_output_shape(self, images_shape):
        batch_size, *size, _ = images_shape
        count = None
        if None not in size:
            rows, columns = self.grid_shape(*size)
            count = rows * columns
        return batch_size, count, self.hidden_dim

    def get_config(self):
        config = super().get_config()
        for name in (
            "hidden_dim",
            "num_layers",
            "filters",
            "kernel_size",
            "pool_size",
        ):
            config[name] = getattr(self, name)
        config["kernel_initializer"] = keras.initializers.serialize(
            self.kernel_initializer
        )
        return config

"""What all attention layers share."""

import keras
from keras import ops

from layers._random_bits import draw_seed


def project_features(inputs, kernel):
    """`inputs @ kernel` on the last axis, as one product of two matrices.

    On TensorFlow the general product finds its axes at run time, which XLA
    cannot compile inside a loop.
    """
    width = inputs.shape[-1]
    sizes = ops.shape(inputs)[:-1]
    flat = ops.matmul(ops.reshape(inputs, (-1, width)), kernel)
    return ops.reshape(flat, (*sizes, kernel.shape[-1]))


class AttentionLayer(keras.layers.Layer):
    """Base of the layers that weigh: dropout of the weights, and matrices.

    Args:
        dropout: Fraction of the attention weights to drop in training.
        seed: Seed of the dropout.
        kernel_initializer: Initializer of the learned matrices.
        **kwargs: Arguments of `keras.layers.Layer`.
    """

    def __init__(
        self,
        dropout=0.0,
        seed=None,
        kernel_initializer="glorot_uniform",
        **kwargs,
    ):
        super().__init__(**kwargs)
        if not 0.0 <= dropout < 1.0:
            raise ValueError(
                "`dropout` must be in the range [0, 1). "
                f"Received: dropout={dropout}"
            )
        self.dropout = dropout
        self.seed = seed
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.supports_masking = True
        if dropout:
            self.seed_generator = keras.random.SeedGenerator(seed)

    def add_kernel(self, shape, name):
        """A learned matrix, with numbers of its own.

        One Keras initializer gives two weights of one shape the same values,
        so each weight has a copy.
        """
        initializer = keras.initializers.get(
            keras.initializers.serialize(self.kernel_initializer)
        )
        return self.add_weight(shape=shape, initializer=initializer, name=name)

    def draw_dropout_seed(self, training):
        """A seed for this call, or None where nothing is dropped."""
        if training and self.dropout:
            return draw_seed(self.seed_generator)
        return None

    def get_config(self):
        config = super().get_config()
        config.update(
            {
                "dropout": self.dropout,
                "seed": self.seed,
                "kernel_initializer": keras.initializers.serialize(
                    self.kernel_initializer
                ),
            }
        )
        return config

"""Dropout whose random numbers are cheap where XLA compiles for a CPU."""

import keras
from keras import ops

from layers._random_bits import draw_seed
from layers._random_bits import random_fractions


def drop(inputs, rate, seed, noise_shape=None):
    """Set a fraction of the inputs to 0 and scale up the rest.

    Args:
        inputs: Tensor of any shape.
        rate: Fraction to drop, in [0, 1).
        seed: What `draw_seed` gave.
        noise_shape: Shape of the mask, where an axis of 1 drops as a whole;
            None or an axis of None is that of the inputs.

    Returns:
        Tensor of the shape and type of the inputs.
    """
    shape = ops.shape(inputs)
    if noise_shape is not None:
        shape = [
            size if wanted is None else wanted
            for wanted, size in zip(noise_shape, shape)
        ]
    kept = random_fractions(shape, seed) >= rate
    return ops.where(kept, inputs / (1.0 - rate), ops.zeros_like(inputs))


@keras.saving.register_keras_serializable(package="attention_zoo")
class Dropout(keras.layers.Dropout):
    """`keras.layers.Dropout`, but fast where XLA compiles for a CPU.

    Arguments, call and saved form are those of the layer of Keras.

    Reference:
        [Srivastava et al., 2014](https://jmlr.org/papers/v15/srivastava14a.html)
    """

    def call(self, inputs, training=False):
        if not training or not self.rate:
            return inputs
        if self.rate == 1.0:
            return ops.zeros_like(inputs)
        seed = draw_seed(self.seed_generator)
        return drop(inputs, self.rate, seed, self.noise_shape)

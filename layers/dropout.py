"""Dropout whose random numbers are as cheap compiled as not."""

import keras
from keras import ops


def _uniform(shape, seed_generator):
    """Numbers from [0, 1), float32."""
    if keras.config.backend() != "tensorflow":
        return keras.random.uniform(shape, seed=seed_generator)
    # Left to choose, TensorFlow derives a key from the seed inside the graph,
    # and XLA on a CPU derives it again for each number: 100 times the cost.
    # With the generator named, the key is derived once.
    import tensorflow as tf

    seed = tf.cast(seed_generator.next(), "int32")
    return tf.random.stateless_uniform(shape, seed, alg="philox")


def dropout(inputs, rate, seed_generator, noise_shape=None):
    """Set a fraction of the inputs to 0 and scale up the rest.

    Args:
        inputs: Tensor of any shape.
        rate: Fraction to drop, in [0, 1).
        seed_generator: `keras.random.SeedGenerator`.
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
    kept = _uniform(shape, seed_generator) >= rate
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
        return dropout(inputs, self.rate, self.seed_generator, self.noise_shape)

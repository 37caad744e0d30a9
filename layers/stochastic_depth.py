"""Stochastic depth."""

import keras

from layers._random_bits import draw_seed
from layers.dropout import drop


@keras.saving.register_keras_serializable(package="attention_zoo")
class StochasticDepth(keras.layers.Layer):
    """Drops a residual branch, for some samples of the batch (Huang).

        y = x + b * branch(x) / (1 - rate),   b = 0 with probability `rate`

    This layer is put behind the branch and gives `b * branch / (1 - rate)`.
    In training a dropped sample goes through the shortcut alone, so the
    network is shallower for it. The paper scales the branch at inference
    instead; here the kept ones are scaled up in training, so that inference
    is the plain network.

    Args:
        rate: Probability that the branch is dropped, in [0, 1).
        seed: Seed of the choice.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: `(batch_size, ...)`, what the branch gave.
        training: Whether branches are dropped.

    Returns:
        A tensor of the shape of `inputs`.

    Raises:
        ValueError: If `rate` is not in [0, 1).

    Example:

    >>> drop_path = StochasticDepth(0.1)
    >>> outputs = inputs + drop_path(block(inputs))

    Reference:
        [Huang et al., 2016](https://arxiv.org/abs/1603.09382), section 3.
    """

    def __init__(self, rate=0.0, seed=None, **kwargs):
        super().__init__(**kwargs)
        if not 0.0 <= rate < 1.0:
            raise ValueError(
                f"`rate` must be in the range [0, 1). Received: rate={rate}"
            )
        self.rate = rate
        self.seed = seed
        self.supports_masking = True
        if rate:
            self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, inputs, training=None):
        if not training or not self.rate:
            return inputs
        # One draw for each sample.
        noise_shape = (None, *[1] * (len(inputs.shape) - 1))
        seed = draw_seed(self.seed_generator)
        return drop(inputs, self.rate, seed, noise_shape)

    def compute_output_shape(self, inputs_shape):
        return inputs_shape

    def get_config(self):
        config = super().get_config()
        config.update({"rate": self.rate, "seed": self.seed})
        return config

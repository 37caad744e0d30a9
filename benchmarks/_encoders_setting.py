"""What all implementations of the Vision Transformer have in common."""

import dataclasses

import numpy as np

from benchmarks._products import VISION_SIZES

# Its policy in Keras.
POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}


@dataclasses.dataclass(frozen=True)
class Setting:
    """Sizes of the model and of the batch, and the step of the optimizer.

    Nothing is dropped: no dropout, no stochastic depth.
    """

    preset: str
    patch_size: int
    num_layers: int
    num_heads: int
    hidden_dim: int
    intermediate_dim: int
    image_size: int = 224
    num_classes: int = 1000
    batch_size: int = 8
    precision: str = "float32"
    layer_norm_epsilon: float = 1e-6
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    epsilon: float = 1e-8
    threads: int = 1
    seed: int = 0

    @property
    def image_shape(self):
        """Height, width and channels of the pictures."""
        return (self.image_size, self.image_size, 3)

    @property
    def sizes(self):
        """Arguments of `vision_products` that the model sets."""
        return {name: getattr(self, name) for name in VISION_SIZES}


def make_batch(setting):
    """Pictures `(batch_size, height, width, channels)` and their classes."""
    generator = np.random.default_rng(setting.seed)
    shape = (setting.batch_size, *setting.image_shape)
    images = generator.standard_normal(shape, dtype="float32")
    classes = generator.integers(setting.num_classes, size=len(images))
    return images, classes.astype("int32")

"""Pictures that differ each time they are seen."""

import keras
import tensorflow as tf
from keras import ops


class AugmentedClassifier(keras.Model):
    """A classifier of pictures that is fitted on changed ones.

    The changes are Keras' own layers, done on the batch inside the training
    step. The state of their chance is among the variables of this model, so
    a checkpoint of it has them too. Only what learns is compiled: not all of
    the changes can be.

    Args:
        classifier: The model that is fitted; it owns all weights.
        recipe: The `ImageClassificationRecipe`.
        image_shape: `(height, width, channels)`.
        normalize: Function from pixels, 0 to 1, to what the classifier sees.
        class_weights: For each class the weight of its examples; None is 1.
    """

    def __init__(
        self,
        classifier,
        recipe,
        image_shape,
        normalize,
        class_weights=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.classifier = classifier
        self.normalize = normalize
        self.class_weights = class_weights
        self.image_layers = image_layers(recipe, image_shape)
        self.mixing_layer = mixing_layer(recipe)
        self._learn = super().train_step
        self._learn_compiled = tf.function(
            super().train_step,
            jit_compile=True,
            autograph=False,
            reduce_retracing=True,
        )
        self.compiles = recipe.jit

    def build(self, inputs_shape=None):
        """The classifier is built before."""

    def call(self, inputs, training=None):
        return self.classifier(inputs, training=training)

    def compile(self, jit_compile=False, **options):
        # See the class: the step compiles its greater part itself.
        super().compile(jit_compile=False, **options)

    def train_step(self, data):
        images, labels, weights = keras.utils.unpack_x_y_sample_weight(data)
        images, labels = self.change(images, labels)
        if self.class_weights is not None:
            of_classes = ops.convert_to_tensor(self.class_weights, "float32")
            weights = weights * ops.matmul(labels, of_classes)
        learn = self._learn_compiled if self.compiles else self._learn
        return learn((self.normalize(images), labels, weights))

    def change(self, images, labels):
        """A batch as the classifier is to see it, before normalisation.

        Args:
            images: `(batch_size, *image_shape)`, 0 to 1.
            labels: `(batch_size, num_classes)`.
        """
        for layer in self.image_layers:
            images = layer(images, training=True)
        if self.mixing_layer is not None:
            mixed = self.mixing_layer(
                {"images": images, "labels": labels}, training=True
            )
            images, labels = mixed["images"], mixed["labels"]
        return images, labels


def image_layers(recipe, image_shape):
    """The layers that change each picture by itself.

    Args:
        recipe: The `ImageClassificationRecipe`.
        image_shape: `(height, width, channels)`.
    """
    seeds = iter(range(recipe.seed, recipe.seed + 4))
    options = {"dtype": "float32"}
    found = []
    if recipe.crop_padding:
        height, width, _ = image_shape
        found += [
            keras.layers.ZeroPadding2D(recipe.crop_padding, **options),
            keras.layers.RandomCrop(height, width, seed=next(seeds), **options),
        ]
    if recipe.flip:
        found.append(
            keras.layers.RandomFlip("horizontal", seed=next(seeds), **options)
        )
    if recipe.rand_augment:
        found.append(
            keras.layers.RandAugment(
                value_range=(0, 1),
                num_ops=recipe.rand_augment,
                factor=recipe.rand_augment_magnitude,
                seed=next(seeds),
                **options,
            )
        )
    if recipe.random_erasing:
        found.append(
            keras.layers.RandomErasing(
                factor=recipe.random_erasing,
                value_range=(0, 1),
                seed=next(seeds),
                **options,
            )
        )
    return found


def mixing_layer(recipe):
    """The layer that mixes pictures of a batch, and their labels; or None."""
    seed, options = recipe.seed + 4, {"dtype": "float32"}
    found = []
    if recipe.mixup:
        found.append(keras.layers.MixUp(recipe.mixup, seed=seed, **options))
    if recipe.cutmix:
        found.append(keras.layers.CutMix(recipe.cutmix, seed=seed, **options))
    if len(found) == 2:
        return _OneOf(found, recipe.seed + 5)
    return found[0] if found else None


class _OneOf(keras.layers.Layer):
    """One of two layers, drawn for each batch."""

    def __init__(self, choices, seed):
        super().__init__(dtype="float32", name="one_of")
        self.choices = choices
        self.generator = keras.random.SeedGenerator(seed)

    def call(self, inputs, training=None):
        first = keras.random.uniform((), seed=self.generator) < 0.5
        left, right = (
            choice(inputs, training=training) for choice in self.choices
        )
        return {
            name: ops.where(first, left[name], right[name]) for name in inputs
        }

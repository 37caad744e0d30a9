"""A classifier of pictures with its decoder, as one graph: bytes in."""

import math

import tensorflow as tf

from preprocessing.images import as_channels
from serving.classifier_graph import ClassifierGraph
from serving.empty_batch import with_a_row

_IMAGE = tf.TensorSpec([None], tf.string, name="image")


class ImageClassifierGraph(ClassifierGraph):
    """The signatures of a classifier of pictures.

    The same functions serve in Python (`serving.load` of a run), and in the
    exported model, so the two cannot differ. A picture that can't be read
    has an empty label, `valid` false, and 0 in all that is a number; its
    neighbours are what they would be without it.

    Args:
        model: A `VisionTransformer` with a head.
        preprocessor: Its `ImagePreprocessor`.
    """

    def __init__(self, model, preprocessor):
        height, width, channels = preprocessor.image_shape
        grid_shape = model.patches.grid_shape(height, width)
        num_patches = math.prod(grid_shape)
        # Pixels, and the rollout and the probabilities.
        other_bytes = 3 * height * width + 4 * (
            num_patches + len(preprocessor.classes)
        )
        length = num_patches + model.num_prefix_tokens
        super().__init__(model, preprocessor, length, other_bytes)
        # The number of channels is part of the signature, so that pictures
        # with another one are refused by it.
        spec = tf.TensorSpec([None, None, None, channels], name="images")
        self.images = tf.function(
            self._images, input_signature=[spec], autograph=False
        )

    @tf.function(input_signature=[_IMAGE], autograph=False)
    def serving_default(self, image):
        """Classify the bytes of PNG or JPEG files.

        Returns:
            `label`; `probabilities` `(B, C)` of all classes; `valid` `(B,)`,
            whether the picture can be read.
        """
        return self._classify(*self.preprocessor.encode(image))

    def _images(self, images):
        """Classify pixels from 0 to 1, `(B, H, W, C)`, of any size; the
        answer is that of `serving_default`. A picture with a number that is
        NaN or out of the range can't be read."""
        # A server does not look at the shape in the signature.
        images = tf.ensure_shape(
            images, [None, None, None, self.preprocessor.channels]
        )
        return self._classify(*self.preprocessor.encode(images))

    @tf.function(input_signature=[_IMAGE], autograph=False)
    def explain(self, image):
        """Classify, and show where the model looked.

        Returns:
            `label`, `probabilities` and `valid` as `serving_default`;
            `images` uint8 `(B, H, W, 3)`, as the model saw them; `attention`
            `(B, L, N, K, K)` of the layers and heads that the model card
            names, with K the class token, if there is one, and the patches,
            row by row; `rollout` `(B, rows, columns)`, over all layers and
            heads: how much of each patch is in what was classified. Its sum
            is 1, with a class token less: that holds the rest.
        """
        return with_a_row(self._explain, *self.preprocessor.decode(image))

    def _explain(self, images, valid):
        inputs = self.preprocessor.normalize(images)
        logits, scores = self.logits_and_scores(inputs)
        rollout = self.model.rollout(inputs, scores=scores)
        attention = self.chosen_attention(scores)
        pixels = tf.round(255.0 * as_channels(images, 3))
        return {
            **self._answer(logits, valid),
            "images": tf.cast(pixels, tf.uint8),
            "attention": tf.where(
                valid[:, None, None, None, None], attention, 0.0
            ),
            "rollout": tf.where(
                valid[:, None, None], tf.cast(rollout, tf.float32), 0.0
            ),
        }

    def _classify(self, inputs, valid):
        return with_a_row(self._classify_some, inputs, valid)

    def _classify_some(self, inputs, valid):
        return self._answer(self.model(inputs, training=False), valid)

    def _answer(self, logits, valid):
        answer = self.label_and_probabilities(logits)
        return {
            "label": tf.where(valid, answer["label"], ""),
            "probabilities": tf.where(
                valid[:, None], answer["probabilities"], 0.0
            ),
            "valid": valid,
        }

    def describe(self):
        return {
            "image_shape": list(self.preprocessor.image_shape),
            **super().describe(),
        }

    def signatures(self):
        """The functions of the SavedModel."""
        return {
            "serving_default": self.serving_default,
            "images": self.images,
            "explain": self.explain,
        }

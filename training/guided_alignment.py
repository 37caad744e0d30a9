"""Attention that learns from given alignments."""

import keras

from layers import record_attention


class GuidedTranslator(keras.Model):
    """A translator whose attention is an output too, so that it has a loss.

    Args:
        translator: A translator of the zoo; it owns all weights.

    References:
        [Chen et al., 2016](https://arxiv.org/abs/1607.01628); one head of a
        Transformer: [Garg et al., 2019](https://arxiv.org/abs/1909.02074).
    """

    def __init__(self, translator, **kwargs):
        super().__init__(**kwargs)
        self.translator = translator

    def call(self, inputs, training=None):
        with record_attention() as recorded:
            logits = self.translator(inputs, training=training)
        if not recorded:
            raise ValueError(
                "Guided alignment needs a model with attention. "
                f"Received: translator={self.translator.name}"
            )
        # One head of the last layer; others are free for other things.
        head = list(recorded.values())[-1][:, :1]
        return {"tokens": logits, "alignment": head}

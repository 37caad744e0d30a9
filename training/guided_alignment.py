"""Attention that learns from given alignments."""

import keras

from layers import record_attention


class GuidedTranslator(keras.Model):
    """A translator whose attention is an output too, so that it has a loss.

    Args:
        translator: A translator of the zoo; it owns all weights.

    Reference:
        [Chen et al., 2016](https://arxiv.org/abs/1607.01628).
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
        # The last layer is the one whose heads are read as an alignment.
        return {"tokens": logits, "alignment": list(recorded.values())[-1]}

"""A classifier of texts with its tokenizer, as one graph: strings in."""

import tensorflow as tf

from preprocessing.special_tokens import PADDING_ID
from serving.classifier_graph import ClassifierGraph
from serving.text_encoder_graph import TEXT
from serving.text_encoder_graph import TextEncoderGraph


class TextClassifierGraph(ClassifierGraph):
    """The signatures of a classifier of texts.

    The same functions serve in Python (`serving.load` of a run), and in the
    exported model, so the two cannot differ. Every text has an answer, the
    empty one too: it has the tokens START and END.

    Args:
        model: A `TransformerClassifier` with a head.
        preprocessor: Its `TextClassificationPreprocessor`.
    """

    def __init__(self, model, preprocessor):
        length = preprocessor.max_sequence_length
        # Probabilities, and the weights of the pooling.
        other_bytes = 4 * (len(preprocessor.classes) + length)
        super().__init__(model, preprocessor, length, other_bytes)
        self.encoder = TextEncoderGraph(model, preprocessor)

    @tf.function(input_signature=[TEXT], autograph=False)
    def serving_default(self, text):
        """Classify: `label`, and `probabilities` `(B, C)` of all classes."""
        ids, _ = self.encoder.encode(text)
        logits = self.model({"tokens": ids}, training=False)
        return self.label_and_probabilities(logits)

    @tf.function(input_signature=[TEXT], autograph=False)
    def explain(self, text):
        """Classify, and show where the model looked.

        Returns:
            `label` and `probabilities` as `serving_default`; `tokens`
            `(B, T)`, START and END included; `attention` `(B, L, N, T, T)` of
            the layers and heads that the model card names, 0 in the rows and
            columns of padding; `truncated` `(B,)`, whether the end of the
            text was cut off.

            And `pooling_attention` `(B, T)`, if there is one query that asks
            for what is classified: how it weighs the tokens. With attention
            pooling these are its weights; with a class token its row in the
            last layer, the mean of all heads. Its sum is 1. A model that
            takes the mean of all tokens does not have it.
        """
        ids, truncated = self.encoder.encode(text)
        logits, scores = self.logits_and_scores({"tokens": ids})
        real = tf.not_equal(ids, PADDING_ID)
        attention = self.chosen_attention(scores)
        return {
            **self.label_and_probabilities(logits),
            "tokens": self.encoder.pieces(text, tf.shape(ids)[1]),
            # Columns of padding are 0 by the mask.
            "attention": tf.where(real[:, None, None, :, None], attention, 0.0),
            "truncated": truncated,
            **self._pooling_attention(scores),
        }

    def _pooling_attention(self, scores):
        name = self._pooling_layer()
        if name is None:
            return {}
        # The one query of the pooling, or the first token.
        return {
            "pooling_attention": tf.reduce_mean(scores[name][:, :, 0], axis=1)
        }

    def _pooling_layer(self):
        """Name of the layer in which one query asks for all, or None."""
        return {
            "attention": "pooling",
            "class_token": f"encoder/{self.model.num_layers - 1}/self",
        }.get(self.model.pooling)

    def describe(self):
        described = super().describe()
        name = self._pooling_layer()
        if name is not None:
            described["attention_layers"]["pooling_attention"] = [name]
        return {**self.encoder.describe(), **described}

    def signatures(self):
        """The functions of the SavedModel."""
        return {
            "serving_default": self.serving_default,
            "explain": self.explain,
            "embed": self.encoder.embed,
        }

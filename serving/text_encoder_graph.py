"""An encoder of texts with its tokenizer, as one graph."""

import tensorflow as tf

from preprocessing.special_tokens import PADDING

TEXT = tf.TensorSpec([None], tf.string, name="text")


class TextEncoderGraph(tf.Module):
    """The signature of a model that was fitted without a head.

    `serving_default` is `embed`; there is no label and no probability.

    Args:
        model: A `TransformerClassifier`.
        preprocessor: Its `TextClassificationPreprocessor`. Its classes are
            not looked at.
    """

    def __init__(self, model, preprocessor):
        super().__init__()
        self.model = model
        self.preprocessor = preprocessor

    @tf.function(input_signature=[TEXT], autograph=False)
    def embed(self, text):
        """Sentence embeddings: `embeddings` `(B, D)`.

        They are the mean of the last states over all tokens, START and END
        included, of length 1, so that a dot product of two of them is their
        cosine; or what else the model says, see its `sentence_embeddings`.
        """
        ids, _ = self.encode(text)
        embeddings = self.model.sentence_embeddings({"tokens": ids})
        return {"embeddings": tf.cast(embeddings, tf.float32)}

    def encode(self, text):
        """Strings to ids `(B, T)`, padded with 0, and whether each was cut."""
        ids = self.preprocessor.encode(text, cut=False)
        truncated = self.preprocessor.is_cut(text, ids)
        ids = self.preprocessor.cut(ids).to_tensor()
        # A batch without rows has no columns either; the model needs one.
        missing = tf.maximum(0, 1 - tf.shape(ids)[1])
        return tf.pad(ids, [[0, 0], [0, missing]]), truncated

    def pieces(self, text, length):
        """The strings of the tokens, `(B, length)`, padded with ""."""
        pieces = self.preprocessor.pieces(text)
        missing = length - tf.shape(pieces)[1]
        return tf.pad(pieces, [[0, 0], [0, missing]], constant_values=PADDING)

    def describe(self):
        """What the model card says of this kind of model."""
        return {
            "tokens": "U+2581 at the start of a token stands for a blank.",
            "max_sequence_length": self.preprocessor.max_sequence_length,
            "embedding_dim": self.model.hidden_dim,
            "embedding_pooling": self.model.embedding_pooling,
            "normalized_embeddings": self.model.normalize_embeddings,
        }

    def signatures(self):
        """The functions of the SavedModel."""
        return {"serving_default": self.embed}

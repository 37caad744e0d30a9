"""What the graphs of all classifiers have in common."""

import tensorflow as tf

from layers import record_attention
from layers.recording import scores_inside
from serving.attention_choice import choose_layers_and_heads
from serving.attention_choice import MOST_BYTES
from serving.attention_choice import score_bytes


class ClassifierGraph(tf.Module):
    """Base of the signatures of a classifier.

    Args:
        model: A classifier of the zoo, with a head.
        preprocessor: Its preprocessor.
        length: Most tokens of one input.
        other_bytes: Bytes of an `explain` answer besides the attention.
    """

    def __init__(self, model, preprocessor, length, other_bytes):
        super().__init__()
        self.model = model
        self.preprocessor = preprocessor
        # Not yet built, it would be built by a call on symbols, whose
        # attention nobody can read.
        if not model.built:
            model.build()
        layers, heads = choose_layers_and_heads(
            model.num_layers,
            model.num_heads,
            (length, length),
            MOST_BYTES - other_bytes,
        )
        shown = len(layers) * len(heads)
        self._most_bytes = other_bytes + shown * score_bytes((length, length))
        self._layer_names = [f"encoder/{place}/self" for place in layers]
        self._heads = list(heads)

    @tf.function(input_signature=[], autograph=False)
    def class_names(self):
        """The names of the classes, `(num_classes,)` strings, in the order of
        `probabilities`. It is no signature, but part of the SavedModel: there
        it is `tf.saved_model.load(path).class_names()`."""
        return tf.constant(self.preprocessor.classes.names)

    def label_and_probabilities(self, logits):
        """The two outputs that every signature has."""
        probabilities = tf.cast(tf.nn.softmax(logits), tf.float32)
        best = tf.argmax(probabilities, axis=-1)
        return {
            "label": self.preprocessor.classes.strings(best),
            "probabilities": probabilities,
        }

    def logits_and_scores(self, inputs):
        """Call the model.

        Returns:
            The logits, and the attention `{layer name: (B, N, T, S)}` of all
            layers.
        """
        with record_attention() as recorded:
            logits = self.model(inputs, training=False)
        return logits, scores_inside(self.model, recorded)

    def chosen_attention(self, scores):
        """Those of the scores that are shown, `(B, L, N, T, T)`."""
        stacked = tf.stack([scores[name] for name in self._layer_names], axis=1)
        return tf.gather(stacked, list(self._heads), axis=2)

    def describe(self):
        """What the model card says of this kind of model."""
        return {
            "class_names": list(self.preprocessor.classes.names),
            "attention_layers": {"attention": list(self._layer_names)},
            "attention_heads": {"attention": list(self._heads)},
            "longest_answer_bytes": {"explain": self._most_bytes},
        }

"""Pretraining of a text encoder: find the tokens that were hidden."""

import keras
from keras import ops

from layers._attention_layer import project_features
from layers._normalization import make_normalization
from zoo._attention_model import AttentionModel


@keras.saving.register_keras_serializable(package="attention_zoo")
class MaskedLanguageModel(AttentionModel):
    """The masked language model of BERT, around a `TransformerClassifier`.

        h = norm(activation(states W + b))
        logits = h E^T + c

    E is the token embedding of the classifier, used the other way round, so
    the head adds a matrix of the width and a bias for each token only. The
    classifier is the same object as before: what is learned here is learned
    by it, and it can be fitted to its own task afterwards.

    Args:
        classifier: A `TransformerClassifier`; its pooling and head take no
            part.
        **kwargs: Arguments of `keras.Model`.

    Call arguments:
        inputs: What the classifier takes, with some of the `tokens`
            replaced, and optionally `positions` `(batch_size, count)`: where
            predictions are wanted. A text has few hidden tokens and a
            vocabulary is large, so this is most of the work saved.
        training: Whether dropout is active.

    Returns:
        Logits of the tokens, `(batch_size, length, vocabulary_size)`, or
        `(batch_size, count, vocabulary_size)`; float32 or wider.

    Example:

    >>> model = MaskedLanguageModel(classifier)
    >>> model.compile("adam", loss)
    >>> model.fit({"tokens": hidden, "positions": positions}, tokens_there)

    Reference:
        [Devlin et al., 2019](https://arxiv.org/abs/1810.04805), section 3.1.
    """

    def __init__(self, classifier, **kwargs):
        # One precision for both, unless another is asked for.
        kwargs.setdefault("dtype", classifier.dtype_policy)
        super().__init__(**kwargs)
        self.classifier = classifier
        dtype = self.dtype_policy
        self.transform = keras.layers.Dense(
            classifier.hidden_dim,
            activation=classifier.activation,
            dtype=dtype,
            name="transform",
        )
        self.normalization = make_normalization(
            "layer",
            epsilon=classifier.layer_norm_epsilon,
            name="normalization",
            dtype=dtype,
        )

    def build(self, inputs_shape=None):
        if not self.classifier.built:
            self.classifier.build()
        states_shape = (None, None, self.classifier.hidden_dim)
        self.transform.build(states_shape)
        self.normalization.build(states_shape)
        self.output_bias = self.add_weight(
            shape=(self.classifier.vocabulary_size,),
            initializer="zeros",
            name="output_bias",
        )

    def call(self, inputs, training=None):
        states = self.classifier.encode(inputs, training=training)
        if "positions" in inputs:
            states = ops.take_along_axis(
                states, inputs["positions"][..., None], axis=1
            )
        states = self.normalization(self.transform(states))
        table = self.classifier.token_embedding.embeddings
        table = ops.cast(table, states.dtype)
        logits = project_features(states, ops.transpose(table))
        wide = keras.backend.result_type(logits.dtype, "float32")
        return ops.cast(logits, wide) + ops.cast(self.output_bias, wide)

    @property
    def trainable_weights(self):
        """Those that take part: not the pooling, the pooler and the head."""
        idle = {
            id(weight)
            for layer in self.classifier.layers_after_encoder
            for weight in layer.weights
        }
        return [
            weight
            for weight in super().trainable_weights
            if id(weight) not in idle
        ]

    @property
    def trainable_variables(self):
        return self.trainable_weights

    def attention_scores(self, inputs, layers=None):
        return self.classifier.attention_scores(inputs, layers)

    def get_config(self):
        classifier = keras.saving.serialize_keras_object(self.classifier)
        return {**super().get_config(), "classifier": classifier}

    @classmethod
    def from_config(cls, config):
        classifier = keras.saving.deserialize_keras_object(config["classifier"])
        return cls(**{**config, "classifier": classifier})

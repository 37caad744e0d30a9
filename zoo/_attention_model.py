"""What every model of the zoo can do: give its attention."""

import inspect

import keras

from layers import record_attention
from layers.recording import scores_inside


class AttentionModel(keras.Model):
    """A Keras model that gives the attention of all its layers."""

    def attention_scores(self, inputs, layers=None):
        """The attention of the model on `inputs`, layer by layer.

        Args:
            inputs: What the model is called on.
            layers: Names of the layers wanted; all by default.

        Returns:
            A dictionary such as `{"decoder/cross": scores}` with scores of
            shape `(batch_size, num_heads, query_length, key_length)`,
            float32.

        Raises:
            ValueError: If a name in `layers` is unknown.
        """
        if not self.built:
            self(inputs, training=False)
        with record_attention() as recorded:
            self(inputs, training=False)
        scores = scores_inside(self, recorded)
        if layers is None:
            return scores
        unknown = [name for name in layers if name not in scores]
        if unknown:
            raise ValueError(
                f"Layers with attention here: {', '.join(scores) or 'none'}. "
                f"Received: layers={list(layers)}"
            )
        return {name: scores[name] for name in layers}

    def get_config(self):
        """The arguments of the constructor, which stores each under its
        name."""
        names = inspect.signature(type(self).__init__).parameters
        own = [name for name in names if name not in ("self", "kwargs")]
        return {
            **super().get_config(),
            **{name: getattr(self, name) for name in own},
        }

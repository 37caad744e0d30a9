"""The callback that shows a model's attention in TensorBoard."""

import fnmatch
import operator

import keras
import tensorflow as tf

from layers import record_attention
from layers.recording import scores_inside
from summaries.rollout import classifier_rollout
from summaries.rollout import encoder_layers
from summaries.score_files import forget_steps
from summaries.writing import write_attention
from summaries.writing import write_rollout


class AttentionSummary(keras.callbacks.Callback):
    """Writes attention for TensorBoard after each epoch.

    For any Keras model with layers of `layers`, on the TensorFlow backend:
    its attention on a fixed set of samples, as `write_attention` writes it;
    and of an encoder that sums up texts or pictures, whatever `layers` says,
    the rollout over all its layers, as `write_rollout` writes it. The step
    is the number of the epoch, from 0, so that a resumed run goes on where
    it was. Layers are called by their path in the model, such as
    `decoder/cross`.

    On disk a map of 30 by 30 tokens takes about 50 kB each epoch, and the
    scores of the tab 4 bytes a weight before they are packed: of more samples
    than fit into 32 MB only the first are kept, one in any case. Of a large
    model choose `layers`.

    Args:
        log_dir: Folder of the event files, made at the first write.
        samples: The `AttentionSamples` to look at.
        layers: Names of the layers wanted, or patterns with `*` and `?`, as
            `["encoder/11/self", "pooling"]`; all by default.
        max_images: How many samples get a map, 0 for none. The diagnostics
            are of all.
        max_samples: How many samples the Attention tab has, 0 for none.
        model: The model whose attention is looked at, if it isn't the one
            that is fitted, as the model inside a wrapper.

    Raises:
        TypeError: If `layers` is a string, or a number is none.
        ValueError: If a number is below 0. On the first write, or as a
            fit of a built model starts, if the samples don't fit the scores
            or nothing has a name in `layers`.

    Example:

    >>> samples = AttentionSamples(ids, {"text": Side(tokens, ids != 0)})
    >>> model.fit(dataset, callbacks=[AttentionSummary("runs/1", samples)])
    """

    def __init__(
        self,
        log_dir,
        samples,
        layers=None,
        max_images=4,
        max_samples=4,
        *,
        model=None,
    ):
        super().__init__()
        if isinstance(layers, str):
            raise TypeError(
                "`layers` must be a list of names, as [name]. "
                f"Received: layers={layers!r}"
            )
        for name, count in (
            ("max_images", max_images),
            ("max_samples", max_samples),
        ):
            if operator.index(count) < 0:
                raise ValueError(
                    f"`{name}` must be 0 or more. Received: {name}={count}"
                )
        self.log_dir = log_dir
        self.samples = samples
        self.layers = layers
        self.max_images = max_images
        self.max_samples = max_samples
        self.watched_model = model
        self._inputs = keras.tree.map_structure(
            tf.convert_to_tensor, samples.inputs
        )
        self._scores_of = None
        self._writer = None
        self._is_new_fit = False

    def on_train_begin(self, logs=None):
        self._is_new_fit = True
        # Better now than after the first epoch.
        if self._watched().built:
            for layer, scores in self.scores().items():
                self._check_sides(layer, scores)

    def on_epoch_begin(self, epoch, logs=None):
        if self._is_new_fit:
            # What an earlier fit left of these steps is not of this one.
            forget_steps(self.log_dir, epoch)
            self._is_new_fit = False

    def on_epoch_end(self, epoch, logs=None):
        self.write(epoch)

    def on_train_end(self, logs=None):
        self.close()

    def write(self, step, scalars=None):
        """Write the attention of the model as it is now.

        Args:
            step: Number of the step, as the epoch.
            scalars: `{tag: value}` to write beside it, such as
                `{"attention/alignment_error_rate": 0.1}`.

        Raises:
            ValueError: See the class.
        """
        recorded = self._record()
        scores = self._wanted(recorded)
        if not scores and not scalars:
            return
        self.write_scalars(step, scalars or {})
        rollout = self._rollout(recorded)
        write_attention(
            self._writer,
            scores,
            self.samples.sides_of,
            step,
            log_dir=self.log_dir,
            max_images=self.max_images,
            max_samples=self.max_samples,
            rollout=rollout,
            alignments=self.samples.alignments,
        )
        if rollout is not None:
            write_rollout(
                self._writer, *rollout, step, max_images=self.max_images
            )

    def write_scalars(self, step, scalars):
        """Write nothing but `{tag: value}`."""
        if self._writer is None:
            self._writer = tf.summary.create_file_writer(str(self.log_dir))
        with self._writer.as_default(step):
            for tag, value in scalars.items():
                tf.summary.scalar(tag, value)

    def scores(self):
        """The scores of the wanted layers on the samples.

        Returns:
            `{layer: (batch_size, num_heads, query_length, key_length)}`.

        Raises:
            ValueError: If nothing has a name in `layers`.
        """
        return self._wanted(self._record())

    def _record(self):
        """The scores of all layers."""
        model = self._watched()
        if self._scores_of is None:
            if not model.built:
                # Keras builds by a symbolic call, not to be recorded.
                model(self._inputs, training=False)
            self._scores_of = _recording_function(model)
        recorded = self._scores_of(self._inputs)
        return {
            layer: scores.numpy()
            for layer, scores in scores_inside(model, recorded).items()
        }

    def _rollout(self, recorded):
        """The rollout and the side of its tokens, or None."""
        layers = encoder_layers(recorded)
        if layers is None:
            return None
        _, side = self.samples.sides_of(layers[0])
        pooling = getattr(self._watched(), "pooling", None)
        return classifier_rollout(
            recorded, side, pooling == "class_token"
        ), side

    def close(self):
        """Close the event file; the next write starts another."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def set_model(self, model):
        super().set_model(model)
        self._scores_of = None

    def _watched(self):
        model = self.watched_model
        model = self.model if model is None else model
        if model is None:
            raise ValueError(
                "There is no model to look at: give one, or use the callback "
                "in a fit. Received: model=None"
            )
        return model

    def _wanted(self, scores):
        if self.layers is None:
            return scores
        for pattern in self.layers:
            if not fnmatch.filter(scores, pattern):
                raise ValueError(
                    f"Layers with attention here: "
                    f"{', '.join(scores) or 'none'}. "
                    f"Received: layers={list(self.layers)}"
                )
        return {
            name: values
            for name, values in scores.items()
            if any(fnmatch.fnmatchcase(name, p) for p in self.layers)
        }

    def _check_sides(self, layer, scores):
        batch_size, _, query_length, key_length = scores.shape
        query, key = self.samples.sides_of(layer)
        query.mask_of(batch_size, query_length, layer)
        key.mask_of(batch_size, key_length, layer)


def _recording_function(model):
    """A function `inputs -> {layer path: scores}`, traced once."""

    @tf.function(autograph=False)
    def record(inputs):
        with record_attention() as recorded:
            model(inputs, training=False)
        return dict(recorded)

    return record

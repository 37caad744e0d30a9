"""Vision Transformers in Keras: that of the zoo, and that of KerasHub."""

import keras
import numpy as np
import tensorflow as tf

from benchmarks import _encoders_setting as common
from benchmarks._timing import time_steps


def create(who, setting, folder, jit="auto"):
    """See `_workers`.

    Args:
        who: `"ours"` or `"keras-hub"`.
        setting: Fields of a `Setting`.
        folder: Of the weights, as transformers saved them.
        jit: What `compile` gets as `jit_compile`.
    """
    setting = common.Setting(**setting)
    tf.config.threading.set_intra_op_parallelism_threads(setting.threads)
    keras.config.set_dtype_policy(common.POLICIES[setting.precision])
    model = {"ours": _ours, "keras-hub": _keras_hub}[who](setting, folder)
    return _Contestant(model, setting, jit)


def _ours(setting, folder):
    import zoo

    model = zoo.create_model(
        setting.preset,
        image_shape=setting.image_shape,
        num_classes=setting.num_classes,
        layer_norm_epsilon=setting.layer_norm_epsilon,
        stochastic_depth=0.0,
        **setting.sizes,
    )
    model.build()
    model.set_weights(zoo.load_pretrained(folder).get_weights())
    return model


def _keras_hub(setting, folder):
    import keras_hub

    return keras_hub.models.ViTImageClassifier.from_preset(
        folder, preprocessor=None
    )


class _Contestant:
    """A model, used as a program that has Keras uses it."""

    def __init__(self, model, setting, jit):
        self.images, self.classes = map(tf.constant, common.make_batch(setting))
        self.model = model
        model.compile(
            optimizer=keras.optimizers.AdamW(
                setting.learning_rate,
                weight_decay=setting.weight_decay,
                epsilon=setting.epsilon,
            ),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=[],  # None would leave KerasHub its own
            jit_compile=jit,
        )

    def _forward(self):
        return self.model.predict_on_batch(self.images)

    def _train(self):
        return float(self.model.train_on_batch(self.images, self.classes))

    def logits(self, path):
        """Write the logits of the batch to `path`."""
        np.save(path, self._forward().astype("float32"))

    def losses(self, steps):
        """Losses of so many training steps."""
        return [self._train() for _ in range(steps)]

    def time(self, kind, steps):
        """Seconds of one `"forward"` pass or one step to `"train"`."""
        step = {"forward": self._forward, "train": self._train}[kind]
        return time_steps(step, steps)

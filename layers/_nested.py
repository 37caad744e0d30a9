"""Layers that are arguments of other layers, in configs."""

import keras


def serialize(layer):
    """The config of a layer that its owner will build.

    Without the shapes it was built with: Keras would build it from those
    before it has an owner, and its path, by which its attention is recorded,
    would be another.
    """
    config = keras.saving.serialize_keras_object(layer)
    if config is not None:
        config.pop("build_config", None)
    return config


def deserialize(config, names):
    """The config, with the layers of these names made."""
    layers = {
        name: keras.saving.deserialize_keras_object(config[name])
        for name in names
    }
    return {**config, **layers}

"""Where a fit may start: at another run, or at pretrained weights."""

import dataclasses
import inspect
import pathlib

import keras

import zoo
from preprocessing import ImagePreprocessor
from preprocessing import load_pretrained_preprocessor
from training.configuration import configuration_of
from training.configuration import ConfigurationError
from training.run import Run


def find_start(configuration):
    """What a fit starts from, or None for fresh weights.

    Raises:
        ConfigurationError: If `init_from` is neither a run nor a folder of
            Hugging Face.
    """
    if not configuration.init_from:
        return None
    folder = pathlib.Path(configuration.init_from)
    if (folder / "config.json").exists():
        return PretrainedFolder(configuration)
    return FittedRun(configuration)


class FittedRun:
    """The start from another run's best model, with its preprocessor.

    Args:
        configuration: A `FitConfiguration` with `init_from`.
    """

    def __init__(self, configuration):
        self.configuration = configuration
        self.run = Run.find(configuration.init_from)

    def resolve(self):
        """The configuration with the preprocessing of the run, whose
        vocabulary its weights belong to."""
        start = configuration_of(self.run.config)
        return dataclasses.replace(
            self.configuration, preprocessing=start.preprocessing
        )

    def load_preprocessor(self, task):
        """The preprocessor, for the data of a task."""
        return task.adapt(self.run.load_preprocessor())

    def load_model(self, task, preprocessor):
        """The model, for the data of a task; with other classes it has a
        head of fresh weights."""
        start = self.run.load_model()
        own = self.configuration.model
        config = start.get_config()
        for name, value in own.items():
            if config[name] != value and not _may_differ(name):
                raise ConfigurationError(
                    f"The run {self.configuration.init_from} has "
                    f"model.{name}={config[name]}. "
                    f"Received: model.{name}={value}"
                )
        fresh = type(start).from_config(
            {
                **config,
                **own,
                **task.sizes(preprocessor),
                "dtype": self.configuration.recipe.precision,
            }
        )
        fresh(task.example_inputs(preprocessor))
        before = self.run.load_preprocessor()
        _copy_weights(
            start, fresh, with_head=task.same_classes(before, preprocessor)
        )
        return fresh


class PretrainedFolder:
    """The start from a folder of Hugging Face.

    Args:
        configuration: A `FitConfiguration` with `init_from`.
    """

    def __init__(self, configuration):
        self.configuration = configuration
        self.path = configuration.init_from

    def resolve(self):
        """The configuration with the model and the preprocessing of the
        folder."""
        preset = zoo.get_preset(self.configuration.preset)
        # Whatever its own head is, which may be for something else.
        model = self._load(num_classes=2)
        if not isinstance(model, preset.model):
            raise ConfigurationError(
                f"{self.path} holds a {type(model).__name__}. "
                f"Received: preset={self.configuration.preset}"
            )
        config = model.get_config()
        return dataclasses.replace(
            self.configuration,
            model={name: config[name] for name in self.configuration.model},
            preprocessing=dataclasses.replace(
                self.configuration.preprocessing,
                **_fields(self._preprocessor(None)),
            ),
        )

    def load_preprocessor(self, task):
        """The preprocessor of the folder, for the data of a task."""
        return self._preprocessor(task.loaded.class_names)

    def load_model(self, task, preprocessor):
        """The model; its head is that of the folder where the classes are
        the same, else one of fresh weights."""
        same = task.same_classes(self._preprocessor(None), preprocessor)
        sizes = task.sizes(preprocessor)
        return self._load(None if same else sizes["num_classes"])

    def _preprocessor(self, class_names):
        options = {}
        length = getattr(
            self.configuration.preprocessing, "max_sequence_length", None
        )
        if length is not None:
            options["max_sequence_length"] = length
        try:
            return load_pretrained_preprocessor(
                self.path, class_names=class_names, **options
            )
        except (ValueError, FileNotFoundError) as error:
            raise ConfigurationError(str(error)) from error

    def _load(self, num_classes):
        try:
            return zoo.load_pretrained(
                self.path,
                num_classes=num_classes,
                dtype=self.configuration.recipe.precision,
                **self._changes(),
            )
        except (ValueError, FileNotFoundError) as error:
            raise ConfigurationError(str(error)) from error

    def _changes(self):
        """Arguments of the model that are not the preset's."""
        preset = zoo.get_preset(self.configuration.preset)
        parameters = inspect.signature(preset.model.__init__).parameters
        return {
            name: value
            for name, value in self.configuration.model.items()
            if value != preset.architecture.get(name, parameters[name].default)
        }


def _fields(preprocessor):
    """The fields of the preprocessing that a preprocessor has."""
    if isinstance(preprocessor, ImagePreprocessor):
        height, width = preprocessor.size
        return {
            "height": height,
            "width": width,
            "channels": preprocessor.channels,
            "interpolation": preprocessor.interpolation,
        }
    return {
        "tokenizer": preprocessor.tokenizer.kind,
        "vocabulary_size": preprocessor.vocabulary_size,
        "lowercase": preprocessor.tokenizer.lowercase,
        "max_sequence_length": preprocessor.max_sequence_length,
    }


def _may_differ(name):
    return "dropout" in name or name == "stochastic_depth"


def _copy_weights(start, fresh, with_head):
    """Copy the weights of a model of the same class and architecture."""
    head = getattr(fresh, "head", None)
    left = set()
    if not with_head and head is not None:
        left = {id(weight) for weight in head.weights}
    for source, weight in zip(start.weights, fresh.weights, strict=True):
        if id(weight) in left:
            continue
        if source.shape != weight.shape:
            raise ConfigurationError(
                f"The weight {weight.path} has the shape {source.shape} in "
                f"the run and {weight.shape} here."
            )
        weight.assign(keras.ops.cast(source.value, weight.dtype))

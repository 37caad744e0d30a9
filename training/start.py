"""Where a fit may start: at another run, or at pretrained weights."""

import dataclasses
import pathlib

import keras

import zoo
from preprocessing import ImagePreprocessor
from preprocessing import load_pretrained_preprocessor
from training.configuration import config_first
from training.configuration import configuration_of
from training.configuration import ConfigurationError
from training.configuration import fit_parser
from training.configuration import resolve
from training.run import Run

# Values that leave a field to the data, or here to the start.
_OF_THE_START = {"height": 0, "width": 0, "channels": 0}


def configure(argv):
    """All that a fit was told, with what it takes over from its start.

    Args:
        argv: The arguments after `fit`.

    Returns:
        What the parser gave, and the `FitConfiguration`. Model and
        preprocessing of a fit with `init_from` are those of its start, save
        what was asked for and may differ.

    Raises:
        ConfigurationError: If what was asked for is impossible, also at this
            start.
    """
    parser, argv = fit_parser(argv), config_first(argv)
    arguments = parser.parse_args(argv)
    configuration = resolve(arguments)
    start = find_start(configuration)
    if start is not None:
        # Without the defaults: what the user wrote, in a file or here.
        asked_for = parser.parse_args(argv, defaults=False).as_dict()
        configuration = start.resolve(asked_for)
    return arguments, configuration


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
    if (folder / "config.yaml").exists():
        return FittedRun(configuration)
    raise ConfigurationError(
        f"{folder} is no run and no folder of Hugging Face: it has neither "
        f"config.yaml nor config.json. Received: init_from={folder}"
    )


class FittedRun:
    """The start from another run's best model, with its preprocessor.

    Args:
        configuration: A `FitConfiguration` with `init_from`.
    """

    def __init__(self, configuration):
        self.configuration = configuration
        self.run = Run.find(configuration.init_from)

    def resolve(self, asked_for):
        """The configuration with the model and the preprocessing of the run.

        Args:
            asked_for: The fields that the user wrote, as a nested
                dictionary.

        Raises:
            ConfigurationError: If the run is of another model, or a field is
                not as in the run and would need other weights.
        """
        start = configuration_of(self.run.config)
        _check_model(
            self.configuration,
            f"The run {self.configuration.init_from}",
            zoo.get_preset(start.preset).model,
        )
        preprocessing = start.preprocessing
        preprocessor = self.run.load_preprocessor()
        if isinstance(preprocessor, ImagePreprocessor):
            # The run may have left its size to its data.
            preprocessing = dataclasses.replace(
                preprocessing, **_fields(preprocessor)
            )
        return _resolved(
            self.configuration,
            asked_for,
            self.run.load_model().get_config(),
            preprocessing,
        )

    def load_preprocessor(self, task):
        """The preprocessor, for the data of a task."""
        return task.adapt(self.run.load_preprocessor())

    def load_model(self, task, preprocessor):
        """The model, for the data of a task; with other classes it has a
        head of fresh weights."""
        start = self.run.load_model()
        fresh = type(start).from_config(
            {
                **start.get_config(),
                **self.configuration.model,
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

    def resolve(self, asked_for):
        """The configuration with the model and the preprocessing of the
        folder; see `FittedRun.resolve`."""
        # Whatever its own head is, which may be for something else.
        model = self._load(num_classes=2)
        _check_model(self.configuration, f"The folder {self.path}", type(model))
        preprocessing = self.configuration.preprocessing
        length = asked_for.get("max_sequence_length")
        return _resolved(
            self.configuration,
            asked_for,
            model.get_config(),
            dataclasses.replace(
                preprocessing, **_fields(self._preprocessor(None, length))
            ),
            free=("pooling",),
        )

    def load_preprocessor(self, task):
        """The preprocessor of the folder, for the data of a task."""
        return self._preprocessor(task.loaded.class_names, self._length)

    def load_model(self, task, preprocessor):
        """The model; its head is that of the folder where the classes are
        the same, else one of fresh weights."""
        before = self._preprocessor(None, self._length)
        same = task.same_classes(before, preprocessor)
        num_classes = task.sizes(preprocessor)["num_classes"]
        return self._load(
            num_classes=None if same else num_classes,
            dtype=self.configuration.recipe.precision,
            **self.configuration.model,
        )

    @property
    def _length(self):
        preprocessing = self.configuration.preprocessing
        return getattr(preprocessing, "max_sequence_length", None)

    def _preprocessor(self, class_names, max_sequence_length):
        try:
            return load_pretrained_preprocessor(
                self.path,
                class_names=class_names,
                max_sequence_length=max_sequence_length,
            )
        except (ValueError, FileNotFoundError) as error:
            raise ConfigurationError(str(error)) from error

    def _load(self, **options):
        try:
            return zoo.load_pretrained(self.path, **options)
        except (ValueError, FileNotFoundError) as error:
            raise ConfigurationError(str(error)) from error


def _check_model(configuration, source, model):
    """Raise if a preset is not of the class of the start's model."""
    wanted = zoo.get_preset(configuration.preset).model
    if wanted is not model:
        raise ConfigurationError(
            f"{source} holds a {model.__name__}, for {model.task}; "
            f"{configuration.preset} is a {wanted.__name__}, for "
            f"{wanted.task}. Received: init_from={configuration.init_from}, "
            f"preset={configuration.preset}"
        )


def _resolved(configuration, asked_for, model, preprocessing, free=()):
    """The configuration with the fields of a start.

    Args:
        configuration: The `FitConfiguration`.
        asked_for: The fields that the user wrote.
        model: Arguments of the start's model.
        preprocessing: Its preprocessing.
        free: Arguments of the model that may differ, besides those of
            dropout.

    Raises:
        ConfigurationError: If another field was asked for to differ.
    """
    changes = {}
    for name, value in (asked_for.get("model") or {}).items():
        if "dropout" in name or name in ("stochastic_depth", *free):
            changes[name] = value
        else:
            _check_same(configuration, f"model.{name}", model[name], value)
    for name, value in dataclasses.asdict(preprocessing).items():
        asked = asked_for.get(name, value)
        if asked != _OF_THE_START.get(name):
            _check_same(configuration, name, value, asked)
    own = {name: model[name] for name in configuration.model}
    return dataclasses.replace(
        configuration, model={**own, **changes}, preprocessing=preprocessing
    )


def _check_same(configuration, name, value, asked):
    if asked != value:
        raise ConfigurationError(
            f"`{name}` belongs to the weights of {configuration.init_from}, "
            f"where it is {value}. Received: {name}={asked}"
        )


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

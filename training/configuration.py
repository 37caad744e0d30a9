"""The command line and the YAML file of a fit, and what they resolve to."""

import argparse
import dataclasses
import inspect
import pathlib

import jsonargparse

import datasets
import zoo
from training.cluster import KINDS
from training.recipe import PREPROCESSING
from training.recipe import Recipe
from training.recipe import RECIPES
from training.yaml_file import load_yaml

DEFAULT_PRESET = "bahdanau_translator_tiny"

DATA_DIR_HELP = (
    "Folder in which public data sets are looked for first (default: none); "
    "then in the one that the environment variable ATTENTION_ZOO_DATA names "
    "and in the user's cache, to which they are downloaded in the end."
)

# Arguments of a model that come from the data, or from what it starts from.
_FROM_DATA = {
    "source_vocabulary_size",
    "target_vocabulary_size",
    "vocabulary_size",
    "num_classes",
    "image_shape",
    "max_sequence_length",
    "embedding_pooling",
    "normalize_embeddings",
}


class ConfigurationError(ValueError):
    """What a user asked for can't be done; the message says why."""


@dataclasses.dataclass(frozen=True)
class FitConfiguration:
    """All that determines a run, resolved.

    Attributes:
        preset: Name of the preset.
        dataset: Name of the data set.
        data: Options of the data set.
        model: Arguments of the model that do not come from the data.
        preprocessing: The fields of the preprocessing, of the class that
            `recipe.PREPROCESSING` has for the task of the model.
        recipe: The `Recipe`.
        init_from: Run whose weights and preprocessor are the start, or None.
    """

    preset: str
    dataset: str
    data: dict
    model: dict
    preprocessing: object
    recipe: Recipe
    init_from: str | None = None

    def to_dict(self):
        """As the nested dictionary that `config.yaml` holds."""
        return {
            "preset": self.preset,
            "dataset": self.dataset,
            "init_from": self.init_from,
            **dataclasses.asdict(self.recipe),
            **dataclasses.asdict(self.preprocessing),
            "model": self.model,
            "data": self.data,
        }


def fit_parser(argv):
    """The parser of `train.py fit`.

    Which fields there are depends on the preset and the data set, so these
    two are looked for first, on the command line and in the YAML file.

    Args:
        argv: The arguments after `fit`.

    Returns:
        A `jsonargparse.ArgumentParser` with the preset's values as defaults.

    Raises:
        ConfigurationError: If the preset or the data set is unknown.
    """
    try:
        chosen = _first_choice(argv)
        preset = zoo.get_preset(chosen.preset)
        dataset = chosen.dataset or preset.dataset
        loader = _loader(dataset, argv)
    except ValueError as error:
        raise ConfigurationError(str(error)) from error
    parser = jsonargparse.ArgumentParser(
        prog="train.py fit",
        allow_abbrev=False,
        description="Fit a model. Started again with the same arguments, a "
        "run that was interrupted goes on.",
    )
    parser.add_argument("--config", action="config", help="A YAML file.")
    parser.add_argument(
        "--preset", default=preset.name, help="See `train.py list`."
    )
    parser.add_argument(
        "--dataset", default=dataset, help="See `train.py list`."
    )
    parser.add_argument(
        "--name", type=str, help="Name of the run; <preset>_<dataset>."
    )
    parser.add_argument(
        "--runs", default="runs", help="Folder of all runs (default: runs)."
    )
    parser.add_argument("--data_dir", type=str, help=DATA_DIR_HELP)
    parser.add_argument(
        "--init_from",
        type=str,
        help="A run, or a folder of Hugging Face, to start from (fine-tuning).",
    )
    parser.add_argument(
        "--export",
        type=bool,
        default=True,
        help="Whether to export the model in the end.",
    )
    parser.add_argument(
        "--save_seconds",
        type=jsonargparse.typing.NonNegativeFloat,
        default=60.0,
        help="How often the state is saved within an epoch; what is fitted "
        "does not depend on it.",
    )
    parser.add_argument(
        "--distribute",
        default="none",
        choices=KINDS,
        help="Over what to spread the fit: all devices of this machine, or "
        "the workers that TF_CONFIG names. See docs/distribution.md.",
    )
    parser.add_argument(
        "--data_service",
        type=str,
        help="Servers that make the batches, grpc://HOST:PORT,...",
    )
    add_card_arguments(parser)
    parser.add_class_arguments(RECIPES[preset.model.task])
    parser.add_class_arguments(PREPROCESSING[preset.model.task])
    parser.add_class_arguments(preset.model, "model", skip=_FROM_DATA)
    parser.add_function_arguments(loader, "data", skip={"data_dir", "path"})
    parser.set_defaults(
        {
            **preset.recipe,
            **preset.preprocessing,
            **{f"model.{k}": v for k, v in preset.architecture.items()},
        }
    )
    return parser


def add_card_arguments(parser):
    """Give a parser the options for the card of an exported model."""
    parser.add_argument(
        "--licence", type=str, help="Licence of the model, for its card."
    )
    parser.add_argument(
        "--description", type=str, help="What the model is, for its card."
    )


def card_texts(arguments):
    """Those of these options that were given, as a dictionary."""
    names = ("licence", "description")
    given = {name: getattr(arguments, name) for name in names}
    return {name: text for name, text in given.items() if text}


def _loader(dataset, argv):
    """The loader of a data set; where help is asked for, also without the
    path that must follow the colon."""
    kind, colon, _ = dataset.partition(":")
    if colon and {"-h", "--help"} & set(argv):
        return datasets.loader(f"{kind}:any")
    return datasets.loader(dataset)


def config_first(argv):
    """The same arguments, `--config` before all others: what stands on the
    command line overrides the file, wherever it stands."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--config", action="append", default=[])
    files, others = parser.parse_known_args(argv)
    return [*(f"--config={file}" for file in files.config), *others]


def _first_choice(argv):
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--config", action="append", default=[])
    parser.add_argument("--preset")
    parser.add_argument("--dataset")
    chosen, _ = parser.parse_known_args(argv)
    from_files = {}
    for path in chosen.config:
        from_files |= read_yaml(path)
    chosen.preset = chosen.preset or _text(from_files, "preset")
    chosen.dataset = chosen.dataset or _text(from_files, "dataset")
    chosen.preset = chosen.preset or DEFAULT_PRESET
    return chosen


def _text(values, name):
    value = values.get(name)
    if value is not None and not isinstance(value, str):
        raise ConfigurationError(
            f"`{name}` must be a name. Received: {name}={value!r:.200}"
        )
    return value


def read_yaml(path):
    """A YAML file as a dictionary, read by the safe loader.

    Raises:
        ConfigurationError: If it can't be read or is no mapping.
    """
    try:
        with open(path, encoding="utf-8") as file:
            content = load_yaml(file)
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"{path} can't be read: {error!s:.500}"
        ) from error
    if not isinstance(content, dict):
        raise ConfigurationError(f"{path} must hold `field: value` lines.")
    return content


def resolve(arguments):
    """What `fit_parser(...).parse_args` gave, as a `FitConfiguration`.

    Raises:
        ConfigurationError: If a value is out of its range.
    """
    values = arguments.as_dict()
    values |= {name: values.get(name) or {} for name in ("data", "model")}
    try:
        for name, function in (
            ("data", datasets.loader(values["dataset"])),
            ("model", zoo.get_preset(values["preset"]).model),
        ):
            if not isinstance(values[name], dict):
                raise ValueError(
                    f"`{name}` must hold fields. "
                    f"Received: {name}={values[name]!r:.200}"
                )
            _check_given(values[name], _defaults(function), f"{name}.")
        return configuration_of(values)
    except ValueError as error:
        raise ConfigurationError(str(error)) from error


def configuration_of(values):
    """A `FitConfiguration` from what `to_dict` gave."""
    task = zoo.get_preset(values["preset"]).model.task
    return FitConfiguration(
        preset=values["preset"],
        dataset=values["dataset"],
        data=values["data"],
        model=values["model"],
        preprocessing=_make(PREPROCESSING[task], values),
        recipe=_make(RECIPES[task], values),
        init_from=values["init_from"],
    )


def _make(kind, values):
    # A run of an earlier version lacks the fields that are new; their
    # defaults are what it did.
    fields = {field.name: field.default for field in dataclasses.fields(kind)}
    given = {name: values[name] for name in fields if name in values}
    _check_given(given, fields)
    return kind(**given)


def _check_given(given, defaults, prefix=""):
    """Raise for a None, `null` in YAML, where it has no meaning."""
    for name, value in given.items():
        if value is None and defaults.get(name, "") is not None:
            raise ValueError(
                f"`{prefix}{name}` must have a value. "
                f"Received: {prefix}{name}=None"
            )


def _defaults(function):
    parameters = inspect.signature(function).parameters.values()
    return {parameter.name: parameter.default for parameter in parameters}


def default_name(configuration):
    """The name of a run that is not given one: <preset>_<dataset>, once where
    the preset is called after the data set."""
    kind, _, path = configuration.dataset.partition(":")
    dataset = f"{kind}_{pathlib.Path(path).stem}" if path else kind
    preset = configuration.preset
    return preset if preset.endswith(f"_{dataset}") else f"{preset}_{dataset}"


def differences(old, new, prefix=""):
    """The fields in which two nested dictionaries differ, one line each."""
    lines = []
    for key in sorted({*old, *new}):
        left, right = old.get(key, "(none)"), new.get(key, "(none)")
        if isinstance(left, dict) and isinstance(right, dict):
            lines += differences(left, right, f"{prefix}{key}.")
        elif left != right:
            lines.append(f"  {prefix}{key}: {left} in the run, {right} now")
    return lines

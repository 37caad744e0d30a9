"""From a folder of Hugging Face to the graph that is served."""

import json
import pathlib

import zoo
from preprocessing import load_pretrained_preprocessor
from serving.graphs import make_graph
from training.configuration import ConfigurationError

_MEAN = "pooling_mode_mean_tokens"
# Of Sentence-BERT; our embeddings are normalised in any case.
_MODULES = {"Transformer", "Pooling", "Normalize"}


def is_pretrained_folder(path):
    """Whether a folder looks like one of Hugging Face."""
    return (pathlib.Path(path) / "config.json").is_file()


def graph_of_pretrained(path, **options):
    """The signatures of a model in a folder of Hugging Face.

    A text model without a head gives sentence embeddings, one with a head
    classifies.

    Args:
        path: The folder.
        **options: As `make_graph` has them.

    Raises:
        ConfigurationError: If the folder can't be read, holds nothing that
            is served, or embeds sentences in another way than by the mean
            of all tokens.
    """
    try:
        model = zoo.load_pretrained(path)
        preprocessor = load_pretrained_preprocessor(path)
    except (ValueError, FileNotFoundError) as error:
        raise ConfigurationError(str(error)) from error
    if model.head is None:
        _check_sentence_modules(pathlib.Path(path))
    elif preprocessor.classes is None:
        raise ConfigurationError(
            f"{path}/config.json must name the classes of the head, as "
            f"`id2label`. Received: {model.num_classes} classes"
        )
    return make_graph(model, preprocessor, **options)


def _check_sentence_modules(folder):
    """Raise if Sentence-BERT would compute another vector than we do."""
    modules = _read_json(folder / "modules.json", [])
    kinds = [str(module.get("type")).split(".")[-1] for module in modules]
    for module, kind in zip(modules, kinds):
        if kind not in _MODULES:
            raise ConfigurationError(
                f"{folder}/modules.json: a module must be one of "
                f"{', '.join(sorted(_MODULES))}. Received: type={kind}"
            )
        if kind == "Pooling":
            path = folder / str(module.get("path")) / "config.json"
            settings = _read_json(path, {})
            modes = [
                name
                for name, value in settings.items()
                if name.startswith("pooling_mode_") and value is True
            ]
            if modes != [_MEAN]:
                raise ConfigurationError(
                    f"{path}: sentence embeddings must be the mean of all "
                    f"tokens, {_MEAN}. Received: {', '.join(modes) or 'none'}"
                )


def _read_json(path, default):
    """The content of a JSON file of the same type as `default`."""
    if not path.is_file():
        return default
    try:
        content = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise ConfigurationError(f"{path} is no JSON: {error}") from error
    if type(content) is not type(default):
        raise ConfigurationError(
            f"{path} must hold a {type(default).__name__}. "
            f"Received: {content!s:.100}"
        )
    return content

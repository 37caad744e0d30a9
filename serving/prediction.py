"""What the command line gives a model to answer."""

import os
import pathlib

from datasets import DataError
from serving.image_classifier import ImageClassifier
from training.configuration import ConfigurationError


def sources_of(model, arguments):
    """The inputs that words of a command line stand for.

    Args:
        model: What `serving.load` gave.
        arguments: For pictures their paths, or folders of them; for texts
            the text itself, or the path of a file with one text a line.

    Returns:
        A list of paths or of texts, as `model.explain` takes them.

    Raises:
        ConfigurationError: If the model explains nothing.
        DataError: If a file can't be read; it is named.
    """
    if not hasattr(model, "explain"):
        raise ConfigurationError(
            "This model has no classes to show. Its embeddings are "
            "`serving.load(path).embed(texts)`."
        )
    find = _pictures if isinstance(model, ImageClassifier) else _texts
    return [source for name in arguments for source in find(name)]


def _texts(argument):
    # Path.is_file fails on a sentence too long for the name of a file.
    if not os.path.isfile(argument):
        return [argument]
    try:
        return pathlib.Path(argument).read_text("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{argument} is not UTF-8: {error}") from error


def _pictures(argument):
    if os.path.isdir(argument):
        names = sorted(os.listdir(argument))
        paths = [os.path.join(argument, name) for name in names]
        return [path for path in paths if os.path.isfile(path)]
    if not os.path.isfile(argument):
        raise DataError(f"{argument} is no file of a picture, nor a folder.")
    return [argument]

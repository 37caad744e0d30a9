"""From a folder of Hugging Face to the graph that is served."""

import pathlib

import zoo
from preprocessing import load_pretrained_preprocessor
from serving.graphs import make_graph
from training.configuration import ConfigurationError


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
        ConfigurationError: If the folder can't be read or holds nothing that
            is served.
    """
    try:
        model = zoo.load_pretrained(path)
        preprocessor = load_pretrained_preprocessor(path)
    except (ValueError, FileNotFoundError) as error:
        raise ConfigurationError(str(error)) from error
    if model.head is not None and preprocessor.classes is None:
        raise ConfigurationError(
            f"{path}/config.json must name the classes of the head, as "
            f"`id2label`. Received: {model.num_classes} classes"
        )
    return make_graph(model, preprocessor, **options)

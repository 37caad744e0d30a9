"""From a fitted model to the graph that is served."""

import json
import pathlib

import tensorflow as tf

from preprocessing import ImagePreprocessor
from preprocessing import TextClassificationPreprocessor
from preprocessing import TranslationPreprocessor
from serving.image_classifier_graph import ImageClassifierGraph
from serving.text_classifier_graph import TextClassifierGraph
from serving.text_encoder_graph import TextEncoderGraph
from serving.translator_graph import TranslatorGraph
from training.configuration import ConfigurationError
from zoo import Decoding


def make_graph(model, preprocessor, **options):
    """The signatures of a model; which, the preprocessor says.

    Args:
        model: A model of the zoo.
        preprocessor: What it was fitted with.
        **options: Of `TranslatorGraph`, for a translator.

    Returns:
        A `TranslatorGraph`, `TextClassifierGraph`, `ImageClassifierGraph`,
        or, for texts without a head, a `TextEncoderGraph`.

    Raises:
        ConfigurationError: There are no signatures for such a model, or
            there are options for one that is no translator.
    """
    if isinstance(preprocessor, TranslationPreprocessor):
        return TranslatorGraph(model, preprocessor, **options)
    if options:
        raise ConfigurationError(
            "Only a translator searches with a beam. "
            f"Received: {', '.join(options)} for a {type(model).__name__}"
        )
    if isinstance(preprocessor, TextClassificationPreprocessor):
        if model.head is None:
            return TextEncoderGraph(model, preprocessor)
        return TextClassifierGraph(model, preprocessor)
    if isinstance(preprocessor, ImagePreprocessor) and model.head is not None:
        return ImageClassifierGraph(model, preprocessor)
    raise ConfigurationError(
        "A model for pictures has signatures only with a head. "
        f"Received: num_classes={model.num_classes}"
    )


def graph_of_run(run, **options):
    """The signatures of the best model of a `training.run.Run`."""
    return make_graph(run.load_model(), run.load_preprocessor(), **options)


def graph_that_was_exported(run, path):
    """The signatures of the model of a run, as a SavedModel has them.

    Args:
        run: The `training.run.Run`.
        path: Folder of the SavedModel, whose card says how `beam` searches.
    """
    card = json.loads(pathlib.Path(path, "model_card.json").read_text("utf-8"))
    options = {}
    if "beam" in card:
        beam = dict(card["beam"])
        options["beam_attention"] = beam.pop("attention")
        options["beam"] = Decoding("beam", **beam)
    return graph_of_run(run, **options)


def save_graph(graph, path):
    """Write the SavedModel of what `make_graph` gave.

    A server runs the graph in a session, which restores variables by their
    names in it. A Keras variable is written there as another variable than
    the one that functions read, and only `tf.saved_model.load` joins the two.
    So the TensorFlow variables inside are written, and not the Keras model.

    Args:
        graph: The signatures of a model.
        path: Folder to write.
    """
    module = tf.Module()
    module.weights = [variable.value for variable in graph.model.variables]
    module.preprocessor = graph.preprocessor
    if hasattr(graph, "class_names"):
        module.class_names = graph.class_names
    # Traced here, and not while saving, which would be a trace of its own
    # beside that of whoever looks at a signature later.
    signatures = {
        name: function.get_concrete_function()
        for name, function in graph.signatures().items()
    }
    tf.saved_model.save(module, str(path), signatures=signatures)

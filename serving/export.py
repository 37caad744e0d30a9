"""From a run to a SavedModel that TensorFlow Serving loads."""

import json
import pathlib
import sys

import tensorflow as tf

from serving.atomic import new_version
from serving.atomic import versions
from serving.attention_choice import size_note
from serving.check_saved_model import xla_ops
from serving.example import example_inputs
from serving.example import neutral_inputs
from serving.graphs import graph_of_run
from serving.graphs import save_graph
from serving.model_card import model_card
from serving.model_card import pretrained_card
from serving.pretrained import graph_of_pretrained
from serving.saved_model_files import first_line
from serving.warmup import write_warmup_requests
from training.configuration import ConfigurationError
from training.resume import write_json


class ExportError(ConfigurationError):
    """The graph holds something that TensorFlow Serving may not run."""


def export_run(run, directory, command="", about=None, **options):
    """Export the best model of a run as the next version.

    Args:
        run: A `training.run.Run` with a model.
        directory: Folder of all versions, `saved_models/<name>`.
        command: The command that fitted the model, for the card.
        about: What the card says besides, as `licence` and `description`.
        **options: Of `TranslatorGraph`, for a translator: how `beam`
            searches.

    Returns:
        The folder of the new version.

    Raises:
        ExportError: If the graph holds an op that only XLA can run, or an
            answer would be larger than a server can send.
        ConfigurationError: If the run did not end yet, or there are no
            signatures for such a model.
    """
    if not run.metrics:
        raise ConfigurationError(
            f"{run.directory} is not fitted to the end: it has no metrics.json."
        )
    graph = graph_of_run(run, **options)
    check_sizes(graph.describe().get("longest_answer_bytes", {}))
    example = example_inputs(run)
    return _export(
        graph,
        directory,
        example,
        lambda: model_card(run, graph, example, command, about),
    )


def export_pretrained(folder, directory, about=None, **options):
    """Export the model in a folder of Hugging Face as the next version.

    Args:
        folder: The folder, with `config.json`.
        directory, about, options: As for `export_run`.

    Returns:
        The folder of the new version.

    Raises:
        ExportError: If the graph holds an op that only XLA can run.
        ConfigurationError: If the folder can't be read or served.
    """
    graph = graph_of_pretrained(folder, **options)
    example = neutral_inputs(graph.preprocessor)
    name = pathlib.Path(folder).resolve().name
    return _export(
        graph,
        directory,
        example,
        lambda: pretrained_card(name, graph, example, about),
    )


def exported_version(run, directory):
    """The newest version that holds the model of a run.

    Args:
        run: A fitted `training.run.Run`.
        directory: Folder of all versions.

    Returns:
        Its folder, or None if there is none: what tells is the scores, with
        their times, in its card.
    """
    for number in reversed(versions(directory)):
        path = pathlib.Path(directory, str(number))
        if is_export_of(path, run):
            return path
    return None


def is_export_of(path, run):
    """Whether a SavedModel holds the model of a run, by its card."""
    try:
        text = pathlib.Path(path, "model_card.json").read_text("utf-8")
        scores = json.loads(text)["metrics"]["validation"]
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return False
    # As text, in which NaN is NaN.
    return json.dumps(scores) == json.dumps(run.metrics.get("validation"))


def _export(graph, directory, example, make_card):
    with new_version(directory) as version:
        path = version.temporary
        try:
            save_graph(graph, path)
        except tf.errors.OpError as error:
            raise ExportError(
                f"{directory} can't be written: {first_line(error)} Nothing "
                "was exported."
            ) from error
        check_ops(path)
        write_warmup_requests(path, graph.signatures(), example)
        write_json(path / "model_card.json", make_card())
    return version.path


def check_sizes(longest_answer_bytes):
    """Say which answers are larger than gRPC takes by default.

    Args:
        longest_answer_bytes: `{signature: bytes}` of the longest input.

    Raises:
        ExportError: If one is larger than any server can send.
    """
    for signature, num_bytes in longest_answer_bytes.items():
        try:
            note = size_note(signature, num_bytes)
        except ValueError as error:
            raise ExportError(f"{error}. Nothing was exported.") from error
        if note:
            print(f"note       {note}", file=sys.stderr)


def check_ops(path):
    """Refuse a SavedModel with ops that not every TensorFlow runtime has.

    Raises:
        ExportError: If there is an op whose name starts with `Xla`, or a
            function that must be compiled; it is named.
    """
    bad = xla_ops(path)
    if bad:
        raise ExportError(
            f"The exported graph needs XLA: {', '.join(bad)}. "
            "Nothing was exported."
        )

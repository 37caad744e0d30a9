"""What a model is, was trained on, and can do, as `model_card.json`."""

import platform

import keras
import numpy as np
import sentencepiece
import tensorflow as tf
import tensorflow_text

import zoo
from serving.disclosure import command_without_folders
from serving.disclosure import public_data
from serving.disclosure import public_test_runs
from serving.disclosure import without_folders
from serving.warmup import input_specs


def model_card(run, graph, example, command="", about=None):
    """The card of an exported model.

    It holds scores, sizes and names of classes, and examples of built-in
    data only. Of paths it has the last part.

    Args:
        run: The `training.run.Run`.
        graph: What `make_graph` gave.
        example: `{input name: tensor}` of an example.
        command: The command that fitted the model.
        about: What its owner says of it, as `licence` and `description`.

    Returns:
        A dictionary that `json` can write.
    """
    config, metrics = run.config, run.metrics
    preset = zoo.get_preset(config["preset"])
    return {
        "name": run.name,
        **(about or {}),
        "preset": preset.name,
        "paper": preset.paper,
        "parameters": graph.model.count_params(),
        "data": public_data(metrics["data"]),
        "metrics": {
            "validation": metrics["validation"],
            "chosen": (
                f"{run.chosen} by validation {config['validation_metric']}"
            ),
            "test_runs": public_test_runs(run),
        },
        "command": command_without_folders(command or metrics["command"]),
        "training_seconds": round(metrics["training_seconds"]),
        "hardware": metrics["hardware"],
        # With the numbers that were made shorter for the data.
        "configuration": without_folders(
            {**config, **metrics.get("adapted", {})}
        ),
        **_abilities(graph, example),
    }


def pretrained_card(name, graph, example, about=None):
    """The card of a model that was fitted by others.

    Args:
        name: Of the folder of Hugging Face.
        graph, example, about: As for `model_card`.
    """
    return {
        "name": name,
        **(about or {}),
        "parameters": graph.model.count_params(),
        **_abilities(graph, example),
    }


def _abilities(graph, example):
    """What a graph can do, and by which libraries."""
    return {
        "signatures": {
            name: _signature(function)
            for name, function in graph.signatures().items()
        },
        **graph.describe(),
        **_size_of_explain(graph.signatures(), example),
        "versions": {
            "python": platform.python_version(),
            "tensorflow": tf.__version__,
            "tensorflow-text": tensorflow_text.__version__,
            "keras": keras.__version__,
            "sentencepiece": sentencepiece.__version__,
            "numpy": np.__version__,
        },
    }


def _signature(function):
    concrete = function.get_concrete_function()
    return {
        "inputs": {
            name: _describe(spec)
            for name, spec in input_specs(function).items()
        },
        "outputs": {
            name: _describe(spec)
            for name, spec in concrete.structured_outputs.items()
        },
    }


def _describe(spec):
    return f"{spec.dtype.name} {list(spec.shape)}"


def _size_of_explain(signatures, example):
    """How large an answer is as tensors on the wire, without field names."""
    if "explain" not in signatures:
        return {}
    function = signatures["explain"]
    answer = function(**{name: example[name] for name in input_specs(function)})
    shown = "the picture of the warm-up requests"
    if "text" in example:
        shown = example["text"].numpy()[0].decode()
    num_bytes = sum(
        tf.make_tensor_proto(tensor.numpy()).ByteSize()
        for tensor in answer.values()
    )
    return {"explain_bytes": {"input": shown, "bytes": num_bytes}}

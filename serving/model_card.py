"""What a model is, was trained on, and can do, as `model_card.json`."""

import platform

import keras
import numpy as np
import sentencepiece
import tensorflow as tf
import tensorflow_text

import zoo
from serving.warmup import input_specs


def model_card(run, graph, example, command):
    """The card of an exported model.

    Args:
        run: The `training.run.Run`.
        graph: What `make_graph` gave.
        example: `{input name: tensor}` of an example.
        command: The command that fitted the model.

    Returns:
        A dictionary that `json` can write.
    """
    config, metrics = run.config, run.metrics
    # Runs of earlier versions chose among epochs only.
    chosen = metrics.get("chosen", f"epoch {metrics['best_epoch']}")
    preset = zoo.get_preset(config["preset"])
    return {
        "name": run.name,
        "preset": preset.name,
        "paper": preset.paper,
        "parameters": graph.model.count_params(),
        "data": metrics["data"],
        "metrics": {
            "validation": metrics["validation"],
            "chosen": f"{chosen} by validation {config['validation_metric']}",
            "test_runs": run.test_runs,
        },
        "command": command or metrics["command"],
        "training_seconds": round(metrics["training_seconds"]),
        "hardware": metrics["hardware"],
        "configuration": config,
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

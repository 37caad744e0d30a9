"""What a model is, was trained on, and can do, as `model_card.json`."""

import platform

import keras
import numpy as np
import sentencepiece
import tensorflow as tf
import tensorflow_text

import zoo


def model_card(run, graph, example, command):
    """The card of an exported model.

    Args:
        run: The `training.run.Run`.
        graph: The `TranslatorGraph`.
        example: Inputs of the `explain` signature.
        command: The command that fitted the model.

    Returns:
        A dictionary that `json` can write.
    """
    config, metrics = run.config, run.metrics
    preset = zoo.get_preset(config["preset"])
    answer = graph.explain(**{k: tf.constant(v) for k, v in example.items()})
    return {
        "name": run.name,
        "preset": preset.name,
        "paper": preset.paper,
        "parameters": graph.model.count_params(),
        "data": metrics["data"],
        "metrics": {
            "validation": metrics["validation"],
            "chosen": f"epoch {metrics['best_epoch']} by validation "
            f"{config['validation_metric']}",
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
        "tokens": "U+2581 at the start of a token stands for a blank.",
        "max_sequence_length": graph.preprocessor.max_sequence_length,
        "attention_layers": graph.layer_names(),
        "explain_bytes": {
            "input": example["text"][0],
            "bytes": _num_bytes(answer),
        },
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
            spec.name: _describe(spec)
            for spec in concrete.structured_input_signature[0]
        },
        "outputs": {
            name: _describe(spec)
            for name, spec in concrete.structured_outputs.items()
        },
    }


def _describe(spec):
    return f"{spec.dtype.name} {list(spec.shape)}"


def _num_bytes(answer):
    """Size of an answer as tensors on the wire, without field names."""
    return sum(
        tf.make_tensor_proto(tensor.numpy()).ByteSize()
        for tensor in answer.values()
    )

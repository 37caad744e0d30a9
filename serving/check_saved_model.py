"""Check an exported translator where nothing of this project is installed.

    python serving/check_saved_model.py SAVED_MODEL TRANSLATIONS

It needs only tensorflow and tensorflow-text, of whatever version the target
has, and imports nothing of ours. TRANSLATIONS is what `train.py evaluate
--output TRANSLATIONS` wrote. The exit status is 0 if all holds.
"""

import argparse
import csv
import pathlib
import sys

import numpy as np
import tensorflow as tf
import tensorflow_text
from tensorflow.core.protobuf import saved_model_pb2

_BATCH = 64


def check_texts(signatures, sources, expected):
    """Translations that differ from those expected, as messages."""
    found = []
    for start in range(0, len(sources), _BATCH):
        batch = tf.constant(sources[start : start + _BATCH])
        answer = signatures["serving_default"](text=batch)
        found += [text.decode() for text in answer["translation"].numpy()]
    return [
        f"line {number}: {text!r} where {wanted!r} was expected"
        for number, (text, wanted) in enumerate(zip(found, expected), 1)
        if text != wanted
    ]


def check_attention(signatures, sources):
    """Rows of attention that are not as promised, as messages."""
    answer = signatures["explain"](text=tf.constant(sources))
    if "attention" not in answer:
        return []
    answer = {name: tensor.numpy() for name, tensor in answer.items()}
    scores = answer["attention"]
    source = (answer["source_tokens"] != b"")[:, None, None, None, :]
    target = answer["target_tokens"] != b""
    rows = np.broadcast_to(target[:, None, None, :], scores.shape[:-1])
    sums = np.where(source, scores, 0.0).sum(axis=-1)
    failures = []
    if not np.allclose(sums[rows], 1.0, atol=1e-5):
        failures.append("rows of real tokens do not sum to 1 over the source")
    if np.any(sums[~rows]):
        failures.append("rows of padding are not 0")
    if np.any(np.where(source, 0.0, scores)):
        failures.append("there is attention on padding")
    return failures


def check_batching(signatures, sources, tolerance=1e-4):
    """Sentences that alone are not what they are in a batch, as messages."""
    names = ("translation", "score")
    batch = signatures["serving_default"](text=tf.constant(sources))
    failures = []
    for row, source in enumerate(sources):
        alone = signatures["serving_default"](text=tf.constant([source]))
        text, score = (batch[name].numpy()[row] for name in names)
        other, other_score = (alone[name].numpy()[0] for name in names)
        close = np.isclose(score, other_score, rtol=tolerance, atol=tolerance)
        if text != other or not close:
            failures.append(f"{source!r} alone: {other!r}, {other_score}")
    return failures


def xla_ops(path):
    """Names of ops in a SavedModel that need XLA."""
    content = pathlib.Path(path, "saved_model.pb").read_bytes()
    saved = saved_model_pb2.SavedModel.FromString(content)
    found = set()
    for meta_graph in saved.meta_graphs:
        functions = meta_graph.graph_def.library.function
        nodes = [*meta_graph.graph_def.node]
        for function in functions:
            nodes += function.node_def
        found |= {node.op for node in nodes if node.op.startswith("Xla")}
        holders = [*functions, *nodes]
        if any(holder.attr["_XlaMustCompile"].b for holder in holders):
            found.add("_XlaMustCompile")
    return sorted(found)


def main():
    """Run all checks and print what came out."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("saved_model")
    parser.add_argument("translations")
    arguments = parser.parse_args()
    with open(arguments.translations, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    sources = [row["source"] for row in rows]
    expected = [row["translation"] for row in rows]
    signatures = tf.saved_model.load(arguments.saved_model).signatures
    some = sources[:: max(1, len(sources) // 50)]
    checks = {
        f"{len(sources)} translations as expected": check_texts(
            signatures, sources, expected
        ),
        "rows of attention sum to 1, padding is 0": check_attention(
            signatures, some
        ),
        f"{len(some)} sentences alone as in a batch": check_batching(
            signatures, some
        ),
        "no op needs XLA": xla_ops(arguments.saved_model),
    }
    print(f"tensorflow {tf.__version__}, text {tensorflow_text.__version__}")
    for name, failures in checks.items():
        print(f"{'FAILED' if failures else 'ok    '} {name}")
        for failure in failures[:5]:
            print(f"       {failure}")
    return int(any(checks.values()))


if __name__ == "__main__":
    sys.exit(main())

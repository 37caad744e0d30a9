"""Check an exported model where nothing of this project is installed.

    python serving/check_saved_model.py SAVED_MODEL EXPECTED

It needs only tensorflow and tensorflow-text, of whatever version the target
has, and imports nothing of ours. EXPECTED holds inputs, and what the model
answered where it was fitted, with tabs between the columns:

    a translator              source, translation, log_probability
    a classifier of texts     text, and label, probability
    one of pictures           path, and label, probability

`train.py evaluate --output EXPECTED` writes such a file; other columns do not
count. `label` is the one that the model gave, `probability` its own; both may
be missing, as may `log_probability`. With `--decoder beam` the translations
are those of a beam search, the best of each. A folder of pictures may stand
for their file. The exit status is 0 if all holds.
"""

import argparse
import csv
import functools
import json
import pathlib
import sys

import numpy as np
import tensorflow as tf
import tensorflow_text
from tensorflow.core.protobuf import saved_model_pb2

_BATCH = 64
_SOME = 50  # rows for the slow checks
_TOLERANCE = 1e-4
_LONG = 100_000

_HOSTILE_TEXTS = {
    "no text": b"",
    "NUL": b"a\0b",
    "one long word": b"x" * _LONG,
    "a long text": b"so long " * (_LONG // 8),
    "broken UTF-8": b"\xff\xfe\xc3",
}


def answer_of(signature, **inputs):
    """What a signature gives, as arrays."""
    tensors = {name: tf.constant(value) for name, value in inputs.items()}
    answer = signature(**tensors)
    return {name: tensor.numpy() for name, tensor in answer.items()}


def check_translations(signatures, rows, decoder):
    """Translations that differ from those expected, as messages."""
    sources = _column(rows, "source")
    texts, scores = [], []
    for start in range(0, len(sources), _BATCH):
        batch = sources[start : start + _BATCH]
        if decoder == "beam":
            answer = answer_of(signatures["beam"], text=batch)
            texts += list(answer["translations"][:, 0])
            scores += list(answer["log_probabilities"][:, 0])
        else:
            answer = answer_of(signatures["serving_default"], text=batch)
            texts += list(answer["translation"])
            scores += list(answer["score"])
    failures = []
    for number, (row, text, score) in enumerate(zip(rows, texts, scores), 1):
        wanted = row["translation"]
        expected = float(row.get("log_probability") or score)
        if text.decode() != wanted:
            failures.append(
                f"row {number}: {text.decode()!r} where {wanted!r} was expected"
            )
        elif not np.isclose(score, expected, rtol=_TOLERANCE, atol=1e-5):
            failures.append(
                f"row {number}: log-probability {score} where {expected} was "
                "expected"
            )
    return failures


def check_attention(signatures, sources):
    """Rows of a translator's attention that are not as promised, as
    messages."""
    answer = answer_of(signatures["explain"], text=sources)
    source, target = (
        answer[f"{side}_tokens"] != b"" for side in ("source", "target")
    )
    # Column j of the decoder's own is the token before target token j.
    before = np.pad(target, [[0, 0], [1, 0]], constant_values=True)[:, :-1]
    failures = []
    for name, rows, columns in (
        ("attention", target, source),
        ("encoder_attention", source, source),
        ("decoder_attention", target, before),
    ):
        if name in answer:
            found = _attention_failures(answer[name], rows, columns)
            failures += [f"{name}: {failure}" for failure in found]
    return failures


def check_beam(signatures, sources):
    """Hypotheses that are not in order, or not what they are alone, as
    messages."""
    together = answer_of(signatures["beam"], text=sources)
    failures = []
    for row, source in enumerate(sources):
        texts = [text for text in together["translations"][row] if text]
        scores = together["scores"][row]
        if np.any(np.diff(scores) > 0):
            failures.append(f"{source[:60]!r}: the scores are {scores}")
        alone = answer_of(signatures["beam"], text=[source])
        if list(alone["translations"][0]) != list(
            together["translations"][row]
        ):
            failures.append(f"{source[:60]!r}: alone it has others")
        if not _same(alone["scores"][0], scores):
            failures.append(f"{source[:60]!r}: alone it has other scores")
        if not texts:
            failures.append(f"{source[:60]!r}: no translation")
    return failures


def _attention_failures(scores, rows_are_real, columns_are_real):
    """Scores are `(B, L, N, T, S)`."""
    columns = columns_are_real[:, None, None, None, :]
    rows = np.broadcast_to(rows_are_real[:, None, None, :], scores.shape[:-1])
    sums = np.where(columns, scores, 0.0).sum(axis=-1)
    failures = []
    if not np.allclose(sums[rows], 1.0, atol=1e-5):
        failures.append("rows of real tokens do not sum to 1")
    if np.any(sums[~rows]):
        failures.append("rows of padding are not 0")
    if np.any(np.where(columns, 0.0, scores)):
        failures.append("there is attention on padding")
    return failures


def check_batching(signatures, name, inputs):
    """Rows that alone are not what they are in a batch, as messages.

    Args:
        signatures: Those of the model.
        name: Name of the input of `serving_default`.
        inputs: The rows.
    """
    default = signatures["serving_default"]
    batch = answer_of(default, **{name: inputs})
    failures = []
    for row, value in enumerate(inputs):
        alone = answer_of(default, **{name: [value]})
        for output, values in batch.items():
            if not _same(values[row], alone[output][0]):
                failures.append(
                    f"{value[:60]!r} alone: {output} is {alone[output][0]}, "
                    f"in a batch {values[row]}"
                )
    return failures


def _same(left, right):
    if isinstance(left, np.ndarray | np.floating):
        return np.allclose(left, right, rtol=_TOLERANCE, atol=_TOLERANCE)
    return left == right


def check_classes(signatures, name, inputs, rows):
    """Labels and probabilities that differ from those expected, as messages.

    Args:
        signatures: Those of the model.
        name: Name of the input of `serving_default`.
        inputs: The rows.
        rows: For each `{"label": ..., "probability": ...}`.
    """
    failures = []
    for start in range(0, len(inputs), _BATCH):
        batch = {name: inputs[start : start + _BATCH]}
        answer = answer_of(signatures["serving_default"], **batch)
        likeliest = answer["probabilities"].max(axis=-1)
        found = zip(answer["label"], likeliest, rows[start : start + _BATCH])
        for number, (label, probability, row) in enumerate(found, start + 1):
            wanted = float(row["probability"])
            if label.decode() != row["label"] or not _same(probability, wanted):
                failures.append(
                    f"line {number}: {label.decode()!r}, {probability:.6f} "
                    f"where {row['label']!r}, {wanted:.6f} was expected"
                )
    return failures


def check_text_attention(signatures, texts):
    """Rows of a text classifier's attention that are not as promised."""
    answer = answer_of(signatures["explain"], text=texts)
    real = answer["tokens"] != b""
    failures = _attention_failures(answer["attention"], real, real)
    weights = answer.get("pooling_attention")
    if weights is not None:
        every_row = np.ones((len(texts), 1), bool)
        found = _attention_failures(
            weights[:, None, None, None, :], every_row, real
        )
        failures += [f"pooling_attention: {failure}" for failure in found]
    return failures


def check_hostile_texts(signatures, texts):
    """Texts that have no answer or disturb another one, as messages."""
    default = signatures["serving_default"]
    alone = answer_of(default, text=texts[:2])
    failures = []
    for name, hostile in _HOSTILE_TEXTS.items():
        rows = [*texts[:1], hostile, *texts[1:2]]
        answer = answer_of(default, text=rows)
        for output, values in answer.items():
            others = np.delete(values, 1, axis=0)
            if not all(map(_same, others, alone[output])):
                failures.append(f"{name}: its neighbours have other {output}")
        failures += [f"{name}: {text}" for text in _no_answer(answer, 1)]
    return failures


def _no_answer(answer, row):
    if "embeddings" in answer:
        length = np.linalg.norm(answer["embeddings"][row])
        return [] if length > 0 else [f"a vector of length {length}"]
    total = answer["probabilities"][row].sum()
    found = [] if _same(total, 1.0) else [f"probabilities sum to {total}"]
    return found if answer["label"][row] else [*found, "there is no label"]


def check_embeddings(signature, texts):
    """Embeddings that have not the length 1, as messages."""
    vectors = answer_of(signature, text=texts)["embeddings"]
    lengths = np.linalg.norm(vectors, axis=-1)
    return [
        f"{text[:60]!r}: the length is {length}"
        for text, length in zip(texts, lengths)
        if not _same(length, 1.0)
    ]


def check_image_attention(signatures, files):
    """Attention and rollout that are not as promised, as messages."""
    answer = answer_of(signatures["explain"], image=files)
    scores, rollout = answer["attention"], answer["rollout"]
    if not answer["valid"].all():
        bad = np.flatnonzero(~answer["valid"])
        return [f"picture {row} of these can't be read" for row in bad]
    every = np.ones((len(files), scores.shape[-1]), bool)
    failures = _attention_failures(scores, every, every)
    sums = rollout.sum(axis=(1, 2))
    num_patches = rollout.shape[1] * rollout.shape[2]
    # What a class token has is not in the map.
    least = 0.0 if scores.shape[-1] > num_patches else 1.0 - 1e-5
    if np.any(rollout < 0) or np.any((sums <= least) | (sums > 1 + 1e-5)):
        failures.append(f"the sums of the rollout are {sums}")
    return failures


def check_formats(signatures, files):
    """What the model saw, given back to it as PNG, JPEG and pixels, must be
    read again. Messages of what is not."""
    explain, default = signatures["explain"], signatures["serving_default"]
    seen = answer_of(explain, image=files)["images"]
    png = [tf.io.encode_png(image).numpy() for image in seen]
    jpeg = [tf.io.encode_jpeg(image).numpy() for image in seen]
    failures = []
    if not np.array_equal(answer_of(explain, image=png)["images"], seen):
        failures.append("PNG files of what was seen are seen differently")
    if not answer_of(default, image=jpeg)["valid"].all():
        failures.append("JPEG files can't be read")
    as_files = answer_of(default, image=png)
    as_pixels = answer_of(
        signatures["images"], images=_pixels(signatures, seen)
    )
    for output, values in as_pixels.items():
        if not all(map(_same, values, as_files[output])):
            failures.append(f"pixels and their PNG file have other {output}")
    return failures


def _pixels(signatures, seen):
    """Pixels from 0 to 1 with as many channels as the model has."""
    _, inputs = signatures["images"].structured_input_signature
    return seen[..., : inputs["images"].shape[-1]] / np.float32(255)


def check_unreadable(signatures, files):
    """Rows that can't be read and say they can, or that change their
    neighbours in any bit, as messages."""
    seen = answer_of(signatures["explain"], image=files[:1])["images"]
    jpeg = tf.io.encode_jpeg(seen[0]).numpy()
    bad = {
        "no bytes": b"",
        "a text": b"This is no picture.",
        "half a file": files[0][: len(files[0]) // 2],
        "half a JPEG": jpeg[: len(jpeg) // 2],
        "a header alone": b"\x89PNG\r\n\x1a\n",
    }
    good = files[:4]
    failures = []
    for signature in ("serving_default", "explain"):
        for name, content in bad.items():
            failures += _disturbed(
                signatures[signature], "image", good, content, name
            )
    pixels = _pixels(signatures, seen)
    broken = np.where(np.arange(pixels.size) == 1, np.nan, pixels.ravel())
    return failures + _disturbed(
        signatures["images"],
        "images",
        [*pixels, *pixels[:, ::-1]],
        broken.reshape(pixels.shape[1:]).astype(np.float32),
        "NaN",
    )


def _disturbed(signature, name, good, bad, description):
    """The row of a batch in the middle becomes bad: messages."""
    middle = len(good) // 2
    before = [*good[:middle], good[0], *good[middle:]]
    after = [*good[:middle], bad, *good[middle:]]
    before, after = (
        answer_of(signature, **{name: rows}) for rows in (before, after)
    )
    failures = []
    for output, values in after.items():
        if not _is_blank(values[middle]):
            failures.append(f"{description}: {output} is {values[middle]}")
        others, expected = (
            np.delete(x, middle, axis=0) for x in (values, before[output])
        )
        if not np.array_equal(others, expected):
            failures.append(f"{description}: neighbours have other {output}")
    return failures


def _is_blank(value):
    return value == b"" if isinstance(value, bytes) else not np.any(value)


def check_empty_batch(signatures):
    """Signatures that do not take a batch without rows, as messages."""
    failures = []
    for name, signature in signatures.items():
        (spec,) = signature.structured_input_signature[1].values()
        # An axis that is free is 1 long.
        shape = [0, *(size or 1 for size in spec.shape[1:])]
        answer = signature(**{spec.name: tf.zeros(shape, spec.dtype)})
        failures += [
            f"{name}: {output} has {len(values)} rows"
            for output, values in answer.items()
            if len(values)
        ]
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


def check_translator(signatures, rows, decoder="greedy"):
    """All checks of a translator: `{description: messages}`."""
    sources = _column(rows, "source")
    some = _some(sources)
    return {
        f"{len(sources)} translations as expected": check_translations(
            signatures, rows, decoder
        ),
        "rows of attention sum to 1, padding is 0": check_attention(
            signatures, some
        ),
        f"{len(some)} sentences alone as in a batch": check_batching(
            signatures, "text", some
        ),
        **_beam_checks(signatures, some),
    }


def _beam_checks(signatures, sources):
    if "beam" not in signatures:
        return {}
    width = signatures["beam"].structured_outputs["scores"].shape[1]
    return {
        f"{width} hypotheses are in order, alone as in a batch": check_beam(
            signatures, sources
        )
    }


def check_text_model(signatures, rows, normalized=True):
    """All checks of a classifier or encoder of texts.

    Args:
        signatures: Those of the model.
        rows: As of `read_rows`.
        normalized: Whether its embeddings should have the length 1.
    """
    texts = _column(rows, "text")
    some = _some(texts)
    checks = {
        **_as_expected(signatures, "text", texts, rows),
        f"{len(some)} texts alone as in a batch": check_batching(
            signatures, "text", some
        ),
        "hostile texts disturb no other": check_hostile_texts(signatures, some),
    }
    if "explain" in signatures:
        checks["rows of attention sum to 1, padding is 0"] = (
            check_text_attention(signatures, some)
        )
    if normalized:
        embed = signatures.get("embed", signatures["serving_default"])
        checks["embeddings have the length 1"] = check_embeddings(embed, some)
    return checks


def check_image_model(signatures, rows):
    """All checks of a classifier of pictures."""
    files = [pathlib.Path(x).read_bytes() for x in _column(rows, "path")]
    some = _some(files)
    return {
        **_as_expected(signatures, "image", files, rows),
        f"{len(some)} pictures alone as in a batch": check_batching(
            signatures, "image", some
        ),
        "rows of attention and rollout have their sums": check_image_attention(
            signatures, some
        ),
        "PNG, JPEG and pixels are taken": check_formats(signatures, some),
        "what can't be read says so, alone": check_unreadable(signatures, some),
    }


def _as_expected(signatures, name, inputs, rows):
    outputs = signatures["serving_default"].structured_outputs
    known = {"label", "probability"} <= rows[0].keys()
    if not known or "probabilities" not in outputs:
        return {}
    return {
        f"{len(rows)} labels as expected": check_classes(
            signatures, name, inputs, rows
        )
    }


def _column(rows, name):
    if name not in rows[0]:
        sys.exit(
            f"Such a model needs a column `{name}`. "
            f"Received: columns={', '.join(rows[0])}"
        )
    return [row[name] for row in rows]


def _some(rows):
    return rows[:: max(1, len(rows) // _SOME)]


def read_rows(path):
    """The rows of the file of expected answers, or of a folder.

    Raises:
        SystemExit: If there are none.
    """
    path = pathlib.Path(path)
    if path.is_dir():
        names = sorted(path.rglob("*"))
        endings = (".png", ".jpg", ".jpeg")
        rows = [{"path": p} for p in names if p.suffix.lower() in endings]
    else:
        with open(path, encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t"))
    return rows or sys.exit(f"{path} has no rows.")


def has_normalized_embeddings(directory):
    """Whether embeddings have the length 1, by the card if there is one."""
    path = pathlib.Path(directory) / "model_card.json"
    card = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    return card.get("normalized_embeddings", True)


def main():
    """Run all checks and print what came out."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("saved_model")
    parser.add_argument("expected", help="A file or a folder of pictures.")
    parser.add_argument(
        "--decoder",
        choices=("greedy", "beam"),
        default="greedy",
        help="The search that gave the expected translations.",
    )
    arguments = parser.parse_args()
    rows = read_rows(arguments.expected)
    model = tf.saved_model.load(arguments.saved_model)
    signatures = model.signatures
    default = signatures["serving_default"]
    if "translation" in default.structured_outputs:
        check = functools.partial(check_translator, decoder=arguments.decoder)
    elif "image" in default.structured_input_signature[1]:
        check = check_image_model
    else:
        check = functools.partial(
            check_text_model,
            normalized=has_normalized_embeddings(arguments.saved_model),
        )
    checks = {
        **check(signatures, rows),
        "batches without rows are taken": check_empty_batch(signatures),
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

"""The check of an exported model where nothing of ours is installed."""

import csv
import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

import serving
from serving import check_saved_model
from tests.serving.classifier_runs import encoded
from tests.serving.classifier_runs import LINES
from tests.serving.classifier_runs import pixels

_SOURCES = ["March 5, 2021", "20 percent", 'a "quoted" one', "ÄÖ 漢字"]


def _write(path, answers):
    """`answers`: text and log-probability of each source."""
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t")
        writer.writerow(("source", "translation", "log_probability"))
        writer.writerows(
            (source, *answer) for source, answer in zip(_SOURCES, answers)
        )


def _run(model, path, folder, *options):
    return subprocess.run(
        [
            *(sys.executable, check_saved_model.__file__),
            *(str(model), str(path), *options),
        ],
        cwd=folder,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        timeout=600,
    )


@pytest.mark.parametrize("decoder", ["greedy", "beam"])
def test_all_holds(tiny_run, tiny_saved_model, tmp_path, decoder):
    translator = serving.load(tiny_run)
    if decoder == "greedy":
        answers = translator.explain(_SOURCES)
        expected = [(answer.text, answer.score) for answer in answers]
    else:
        best = [hypotheses[0] for hypotheses in translator.beam(_SOURCES)]
        expected = [(found.text, found.log_probability) for found in best]
    _write(tmp_path / "out.tsv", expected)
    process = _run(
        *(tiny_saved_model, tmp_path / "out.tsv", tmp_path),
        *("--decoder", decoder),
    )
    assert process.returncode == 0, process.stdout + process.stderr
    assert process.stdout.count("ok    ") == 6


def test_other_answers_are_shown(tiny_run, tiny_saved_model, tmp_path):
    answers = serving.load(tiny_run).explain(_SOURCES)
    expected = [(answer.text, answer.score * 1.01) for answer in answers]
    expected[0] = ("something else", answers[0].score)
    _write(tmp_path / "out.tsv", expected)
    process = _run(tiny_saved_model, tmp_path / "out.tsv", tmp_path)
    assert process.returncode == 1
    assert "FAILED 4 translations as expected" in process.stdout
    assert "row 1: " in process.stdout
    assert "'something else' was expected" in process.stdout
    assert "row 2: log-probability" in process.stdout


class _Answer(dict):
    """What a signature gives: a dictionary of tensors."""


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ([[0.5, 0.4, 0.0], [0.0, 0.0, 0.0]], "do not sum to 1"),
        ([[0.5, 0.4, 0.1], [0.0, 0.0, 0.0]], "attention on padding"),
        ([[0.5, 0.5, 0.0], [0.1, 0.0, 0.0]], "rows of padding"),
        ([[0.5, 0.5, 0.0], [0.0, 0.0, 0.0]], None),
    ],
)
def test_attention_that_is_not_as_promised(scores, message):
    def explain(text):
        return _Answer(
            attention=tf.constant([[[scores]]]),
            source_tokens=tf.constant([["a", "[END]", ""]]),
            target_tokens=tf.constant([["[END]", ""]]),
        )

    found = check_saved_model.check_attention({"explain": explain}, ["a"])
    assert bool(found) == bool(message)
    if message:
        assert any(message in failure for failure in found)


def _write_classes(path, column, inputs, answers):
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t")
        writer.writerow((column, "label", "probability"))
        for value, answer in zip(inputs, answers):
            writer.writerow((value, answer.label, f"{answer.probability:.6f}"))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A folder of PNG and JPEG files, and their names."""
    folder = tmp_path_factory.mktemp("pictures")
    names = [f"{seed}.{form}" for seed, form in enumerate(("png", "jpg") * 2)]
    for seed, name in enumerate(names):
        form = "PNG" if name.endswith("png") else "JPEG"
        content = encoded(pixels(seed, 20, 30), form)
        (folder / name).write_bytes(content)
    return folder, names


def test_all_holds_for_texts(text_run, text_saved_model, tmp_path):
    texts = [*LINES, "", 'a "quoted" one', "long " * 50]
    answers = serving.load(text_run.directory).explain(texts)
    _write_classes(tmp_path / "out.tsv", "text", texts, answers)
    process = _run(text_saved_model, tmp_path / "out.tsv", tmp_path)
    assert process.returncode == 0, process.stdout + process.stderr
    assert process.stdout.count("ok    ") == 7


def test_all_holds_for_an_encoder(encoder_saved_model, tmp_path):
    (tmp_path / "out.tsv").write_text("text\na fine film\ndull\n", "utf-8")
    process = _run(encoder_saved_model, tmp_path / "out.tsv", tmp_path)
    assert process.returncode == 0, process.stdout + process.stderr
    assert process.stdout.count("ok    ") == 5


def test_the_card_says_whether_embeddings_have_the_length_1(
    encoder_saved_model, tmp_path
):
    by_card = check_saved_model.has_normalized_embeddings
    assert by_card(tmp_path) and by_card(encoder_saved_model)
    (tmp_path / "model_card.json").write_text(
        '{"normalized_embeddings": false}'
    )
    assert not by_card(tmp_path)
    model = tf.saved_model.load(str(encoder_saved_model))
    signatures = _Tampered(model.signatures, "embeddings", _plus(0.1))
    for normalized in (True, False):
        checks = check_saved_model.check_text_model(
            signatures, [{"text": "a fine film"}], normalized
        )
        assert any(checks.values()) == normalized


def test_all_holds_for_pictures(
    image_run, image_saved_model, pictures, tmp_path
):
    folder, names = pictures
    answers = serving.load(image_run.directory).explain(
        [folder / name for name in names]
    )
    _write_classes(folder / "out.tsv", "path", names, answers)
    for path, count in ((folder / "out.tsv", 7), (folder, 6)):
        process = _run(image_saved_model, path, folder)
        assert process.returncode == 0, process.stdout + process.stderr
        assert process.stdout.count("ok    ") == count


class _Tampered(dict):
    """The signatures of a model, with one output changed by a function."""

    def __init__(self, signatures, output, change, only=None):
        super().__init__(signatures)
        for name, signature in signatures.items():
            if only in (None, name):
                self[name] = _Changed(signature, output, change)


class _Changed:
    def __init__(self, signature, output, change):
        self.signature, self.output, self.change = signature, output, change

    def __getattr__(self, name):
        return getattr(self.signature, name)

    def __call__(self, **inputs):
        answer = dict(self.signature(**inputs))
        if self.output in answer:
            changed = self.change(answer[self.output].numpy())
            answer[self.output] = tf.constant(changed)
        return answer


def _failed(check, model, output, change, rows, only=None):
    signatures = _Tampered(model.signatures, output, change, only)
    return {name for name, found in check(signatures, rows).items() if found}


def _plus(amount):
    return lambda values: values + np.asarray(amount, values.dtype)


def _other_label(values):
    return np.array([b"x" for _ in values], object)


def _by_batch(values):
    return values * np.float32(1 + 0.01 * len(values))


def _by_first(values):
    """Whatever stands in the middle changes the others."""
    return values + np.float32(1e-6) * values[len(values) // 2].sum()


@pytest.fixture(scope="module")
def texts_to_check(text_saved_model):
    """A model, and rows of what it answers."""
    texts = [*LINES, ""]
    return tf.saved_model.load(str(text_saved_model)), [
        {"text": text, "label": answer.label, "probability": answer.probability}
        for text, answer in zip(
            texts, serving.load(text_saved_model).explain(texts)
        )
    ]


@pytest.fixture(scope="module")
def pictures_to_check(image_saved_model, pictures):
    """A model, and rows of what it answers."""
    folder, names = pictures
    paths = [folder / name for name in names]
    return tf.saved_model.load(str(image_saved_model)), [
        {"path": path, "label": answer.label, "probability": answer.probability}
        for path, answer in zip(
            paths, serving.load(image_saved_model).explain(paths)
        )
    ]


def test_answers_as_promised(texts_to_check, pictures_to_check):
    for check, (model, rows) in (
        (check_saved_model.check_text_model, texts_to_check),
        (check_saved_model.check_image_model, pictures_to_check),
    ):
        assert not _failed(check, model, "no output", None, rows)


@pytest.mark.parametrize(
    ("output", "change", "expected"),
    [
        ("label", _other_label, "5 labels as expected"),
        ("probabilities", _plus(0.01), "5 labels as expected"),
        ("probabilities", _plus(0.01), "hostile texts disturb no other"),
        ("probabilities", _by_batch, "5 texts alone as in a batch"),
        ("attention", _plus(0.01), "rows of attention sum to 1, padding is 0"),
        (
            "pooling_attention",
            _plus(0.01),
            "rows of attention sum to 1, padding is 0",
        ),
        ("embeddings", _plus(0.1), "embeddings have the length 1"),
    ],
)
def test_texts_whose_answers_are_not_as_promised(
    output, change, expected, texts_to_check
):
    model, rows = texts_to_check
    check = check_saved_model.check_text_model
    assert expected in _failed(check, model, output, change, rows)


@pytest.mark.parametrize(
    ("output", "change", "expected"),
    [
        ("label", _other_label, "4 labels as expected"),
        ("valid", np.ones_like, "what can't be read says so, alone"),
        ("probabilities", _by_first, "what can't be read says so, alone"),
        ("probabilities", _by_batch, "4 pictures alone as in a batch"),
        ("images", lambda values: values // 2, "PNG, JPEG and pixels"),
        ("attention", _plus(0.1), "rows of attention and rollout"),
        ("rollout", _plus(0.2), "rows of attention and rollout"),
        ("rollout", lambda values: -values, "rows of attention and rollout"),
    ],
)
def test_pictures_whose_answers_are_not_as_promised(
    output, change, expected, pictures_to_check
):
    model, rows = pictures_to_check
    check = check_saved_model.check_image_model
    failed = _failed(check, model, output, change, rows)
    assert any(name.startswith(expected) for name in failed), failed


def test_batches_without_rows_are_tried(image_saved_model):
    model = tf.saved_model.load(str(image_saved_model))
    check = check_saved_model.check_empty_batch
    assert check(model.signatures) == []
    changed = _Tampered(
        model.signatures, "valid", lambda values: np.ones(1, bool), "images"
    )
    assert check(changed) == ["images: valid has 1 rows"]


def test_nothing_to_check_is_said(tmp_path):
    (tmp_path / "out.tsv").write_text("text\n", "utf-8")
    with pytest.raises(SystemExit, match="has no rows"):
        check_saved_model.read_rows(tmp_path / "out.tsv")


def test_a_missing_column_is_named():
    rows = [{"number": "0", "label": "cat", "probability": "0.5"}]
    with pytest.raises(SystemExit, match=r"a column `path`.*=number, label"):
        check_saved_model.check_image_model({}, rows)


def _beam(translations, scores):
    def beam(text):
        rows = [number for number, _ in enumerate(text.numpy())]
        return _Answer(
            translations=tf.constant([translations] * len(rows)),
            scores=tf.constant([scores] * len(rows)),
        )

    return beam


@pytest.mark.parametrize(
    ("translations", "scores", "message"),
    [
        (["a b", "a"], [-1.0, -2.0], None),
        (["a b", "a"], [-2.0, -1.0], "the scores are"),
        (["", ""], [-1.0, -2.0], "no translation"),
    ],
)
def test_hypotheses_that_are_not_as_promised(translations, scores, message):
    signatures = {"beam": _beam(translations, scores)}
    found = check_saved_model.check_beam(signatures, ["x", "y"])
    assert len(found) == (2 if message else 0)
    assert all(message in failure for failure in found)


def test_hypotheses_that_change_in_a_batch():
    def beam(text):
        count = len(text.numpy())
        return _Answer(
            translations=tf.constant([[f"of {count}", "a"]] * count),
            scores=tf.constant([[-1.0, -2.0 * count]] * count),
        )

    found = check_saved_model.check_beam({"beam": beam}, ["x", "y"])
    assert len(found) == 4 and all("alone it has" in each for each in found)

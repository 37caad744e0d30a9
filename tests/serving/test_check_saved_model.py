"""The check of an exported model where nothing of ours is installed."""

import csv
import os
import subprocess
import sys

import pytest

import serving
from serving import check_saved_model

_SOURCES = ["March 5, 2021", "20 percent", 'a "quoted" one', "ÄÖ 漢字"]


def _write(path, translations):
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t")
        writer.writerow(("source", "translation", "log_probability"))
        writer.writerows(
            (source, text, 0.0) for source, text in zip(_SOURCES, translations)
        )


def _run(model, path, folder):
    return subprocess.run(
        [sys.executable, check_saved_model.__file__, str(model), str(path)],
        cwd=folder,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_all_holds(tiny_run, tiny_saved_model, tmp_path):
    _write(tmp_path / "out.tsv", serving.load(tiny_run).translate(_SOURCES))
    process = _run(tiny_saved_model, tmp_path / "out.tsv", tmp_path)
    assert process.returncode == 0, process.stdout + process.stderr
    assert process.stdout.count("ok    ") == 4


def test_another_text_is_shown(tiny_saved_model, tmp_path):
    _write(tmp_path / "out.tsv", ["something else"] * len(_SOURCES))
    process = _run(tiny_saved_model, tmp_path / "out.tsv", tmp_path)
    assert process.returncode == 1
    assert "FAILED 4 translations as expected" in process.stdout
    assert "something else" in process.stdout


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
    import tensorflow as tf

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

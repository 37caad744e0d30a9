"""What a command line gives a model to answer, and the files of answers."""

import csv

import pytest

import serving
from datasets import DataError
from serving.prediction import answers_of
from serving.prediction import sources_of
from serving.prediction import write_answers


def test_only_line_feeds_end_a_line(tmp_path):
    path = tmp_path / "lines.txt"
    path.write_bytes("a\u2028b\x85c\r\n\nd\x0ce\n".encode())
    lines = ["a\u2028b\x85c", "", "d\x0ce"]
    assert sources_of(None, [str(path), "x"]) == [*lines, "x"]
    path.write_bytes(b"")
    assert sources_of(None, [str(path)]) == []


def test_a_file_of_another_encoding(tmp_path):
    path = tmp_path / "latin.txt"
    path.write_bytes("été".encode("latin-1"))
    with pytest.raises(DataError, match=r"latin\.txt"):
        sources_of(None, [str(path)])


class _Batches:
    """Answers texts with their lengths."""

    def __init__(self):
        self.sizes = []

    def explain(self, texts):
        self.sizes.append(len(texts))
        return [len(text) for text in texts]


def test_many_inputs_are_answered_some_at_a_time():
    model = _Batches()
    texts = ["x" * n for n in range(70)]
    assert list(answers_of(model, texts)) == list(zip(texts, range(70)))
    assert model.sizes == [32, 32, 6]


def test_a_row_for_each_answer(text_saved_model, tmp_path):
    model = serving.load(text_saved_model)
    texts = ["a fine film", "tab\tand\nline"]
    path = tmp_path / "out.tsv"
    write_answers(path, model, answers_of(model, texts))
    with open(path, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    for text, row, answer in zip(texts, rows, model.explain(texts)):
        assert row["text"] == text
        assert row["label"] == answer.label
        assert float(row["probability"]) == pytest.approx(
            answer.probability, abs=1e-5
        )
    assert len(rows) == 2

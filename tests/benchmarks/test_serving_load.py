"""Clients that ask one model at the same time."""

import json
import pathlib

import numpy as np
import pytest

from benchmarks import serving_load
from benchmarks._workers import peak_memory
from benchmarks._workers import resident_memory

_READER = (
    pathlib.Path(serving_load.__file__).parents[1]
    / "saved_models/vision_transformer_tiny_digits/1"
)


def test_a_short_load(tmp_path, capsys):
    file = tmp_path / "numbers.json"
    serving_load.main(
        [
            *(str(_READER), "--seconds", "1", "--clients", "3", "--rows", "5"),
            *("--batch-size", "4", "--repeats", "1", "--json", str(file)),
        ]
    )
    printed = capsys.readouterr().out
    found = json.loads(file.read_text("utf-8"))
    assert found["errors"] == []
    assert found["latencies"].keys() == {"explain", "serving_default"}
    assert all(len(x) > 3 and min(x) > 0 for x in found["latencies"].values())
    assert len(found["memory"]) == 5
    assert "| signature | requests |" in printed
    assert "3 clients for 1 s; errors: 0; memory: " in printed


class Model:
    """Stands in for one."""

    signatures = ("one", "two")
    rows = np.arange(4)

    def __init__(self):
        self.asked = []

    def check(self, signature, number):
        self.asked.append((signature, number))
        if (signature, number) == ("two", 3):
            raise RuntimeError("wrong")

    def ask(self, signature, numbers):
        self.asked.append((signature, numbers))


def test_every_row_and_signature_is_asked_for_and_errors_are_kept():
    model = Model()
    latencies, errors, memory = serving_load.run_load(model, 2, 0.2)
    assert {number for _, number in model.asked} == {0, 1, 2, 3}
    assert len(model.asked) == sum(map(len, latencies.values()))
    wrong = sum(asked == ("two", 3) for asked in model.asked)
    assert errors == ["RuntimeError: wrong"] * wrong
    assert len(memory) >= 2


def test_rows_in_batches_and_one_by_one():
    model = Model()
    serving_load.rates(model, "one", batch_size=3, repeats=1)
    assert model.asked == [
        ("one", rows) for rows in ([0, 1, 2], [0], [1], [2]) * 2
    ]


def test_an_answer_that_is_another():
    model = serving_load.Model(_READER, serving_load.data_rows(_READER, 2))
    model.check("explain", 1)
    model.rows = model.rows[::-1]
    with pytest.raises(RuntimeError, match="explain: label of row 1 must be"):
        model.check("explain", 1)


def test_growth_counts_from_a_quarter():
    assert serving_load.growth([50, 100, 100, 101, 102]) == pytest.approx(0.02)


def test_resident_memory():
    before = resident_memory()
    held = bytearray(b"x" * 50 * 2**20)
    grown = resident_memory() - before
    assert 45 <= grown <= 60 and len(held)
    assert peak_memory() >= resident_memory() - 1

"""The machinery of the benchmarks, without any peer."""

import pathlib
import sys

import numpy as np
import pytest

from benchmarks import _agreement
from benchmarks import _bahdanau_setting
from benchmarks import _report
from benchmarks import bahdanau
from benchmarks._timing import interleave
from benchmarks._timing import race
from benchmarks._timing import ratio
from benchmarks._timing import time_steps
from benchmarks._workers import Worker

CONTESTANT = """
import os
import sys

def create(start):
    print("what a library prints")
    return Counter(start)

class Counter:
    def __init__(self, count):
        self.count = count
    def add(self, number):
        self.count += number
        return {"count": self.count, "process": os.getpid()}
    def hold(self, mebibytes):
        self.held = bytearray(b"x" * (mebibytes * 2**20))
    def fail(self):
        sys.exit(3)
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A contestant that no library is needed for."""
    (tmp_path / "counting_contestant.py").write_text(CONTESTANT)
    root = pathlib.Path(bahdanau.__file__).parent.parent
    monkeypatch.setenv("PYTHONPATH", f"{root}:{tmp_path}")
    return "counting_contestant"


def test_actions_take_turns():
    order = []

    def action(name, seconds):
        order.append(name)
        return seconds

    found = interleave(
        {"a": lambda: action("a", 1), "b": lambda: action("b", 2)}, 3
    )
    assert order == ["a", "b"] * 3
    assert found == {"a": [1, 1, 1], "b": [2, 2, 2]}


class Racer:
    """Stands in for a worker."""

    def __init__(self, seconds):
        self.seconds = seconds
        self.asked = []

    def call(self, method, kind, steps):
        assert (method, kind) == ("time", "train")
        self.asked.append(steps)
        return self.seconds


def test_in_a_round_the_slowest_takes_a_second(capsys):
    racers = {"fast": Racer(0.01), "slow": Racer(0.2)}
    found = race({n: (racers[n], "train") for n in racers}, 3, "title")
    assert found == {"fast": [0.01] * 3, "slow": [0.2] * 3}
    for racer in racers.values():
        assert racer.asked == [1, 1, 5, 5, 5]
    assert capsys.readouterr().err.endswith("title: round 3 of 3\n")


def test_ratio_is_the_median_within_rounds():
    # The second round was disturbed, for both alike.
    assert ratio(peer=[3, 30, 3.3], ours=[2, 20, 2]) == 1.5


def test_time_of_one_step():
    calls = []
    seconds = time_steps(lambda: calls.append(1), 5)
    assert len(calls) == 5
    assert 0 <= seconds < 1


def test_table_and_description():
    assert _report.markdown_table(["name", "x"], [["a", 1], ["b", 2]]) == (
        "| name | x |\n| --- | ---: |\n| a | 1 |\n| b | 2 |"
    )
    text = _report.describe({"sizes": {"width": 3}, "processor": "p"})
    assert text == "sizes: width 3; processor: p."
    versions = _report.versions("numpy", "no-such-package")
    assert versions["numpy"] == np.__version__
    assert "no-such-package" not in versions
    assert "cores" in _report.processor()


def test_worker_has_its_own_process_and_memory(module):
    with Worker(module, 1, start=5) as worker:
        answer = worker.call("add", number=2)
        assert answer["count"] == 7
        assert answer["process"] == worker.process.pid
        worker.call("hold", mebibytes=100)
        memory = worker.call("memory")
    assert memory["peak"] - memory["imported"] >= 90
    assert worker.process.returncode == 0


def test_worker_that_ends_is_named(module):
    with (
        Worker(module, 1, start=0) as worker,
        pytest.raises(RuntimeError, match="counting_contestant, method=fail"),
    ):
        worker.call("fail")


def answer(folder, name, gradient, tokens):
    np.savez(folder / f"{name}_gradients.npz", weight=gradient)
    np.savez(folder / f"{name}_tokens.npz", tokens=tokens)
    return (
        1.5,
        folder / f"{name}_gradients.npz",
        folder / f"{name}_tokens.npz",
    )


def test_disagreement_is_an_error(tmp_path):
    gradient = np.array([1.0, -2.0], "float32")
    tokens = np.array([[4, 5], [6, 7]])
    ours = answer(tmp_path, "ours", gradient, tokens)
    near = answer(tmp_path, "near", gradient * 1.00001, tokens)
    far = answer(tmp_path, "far", gradient * 1.01, tokens)
    other = answer(tmp_path, "other", gradient, tokens + 1)
    _agreement.compare("near", ours, near)
    _agreement.compare("far", ours, far, exact=False)
    with pytest.raises(RuntimeError, match="gradient of weight"):
        _agreement.compare("far", ours, far)
    with pytest.raises(RuntimeError, match="Translations"):
        _agreement.compare("other", ours, other)
    with pytest.raises(RuntimeError, match="loss=2"):
        _agreement.compare("loss", ours, (2.0, *near[1:]))


def test_setting_gives_all_the_same():
    setting = _bahdanau_setting.Setting(
        embedding_dim=3,
        hidden_dim=5,
        vocabulary_size=11,
        batch_size=2,
        length=7,
    )
    first = _bahdanau_setting.make_weights(setting)
    again = _bahdanau_setting.make_weights(setting)
    assert first.keys() == again.keys()
    for name, weight in first.items():
        np.testing.assert_array_equal(weight, again[name])
        assert weight.dtype == "float32"
    source, target, predicted = _bahdanau_setting.make_batch(setting)
    assert source.shape == target.shape == predicted.shape == (2, 7)
    np.testing.assert_array_equal(target[:, 1:], predicted[:, :-1])
    assert source.min() >= _bahdanau_setting.NEVER_EMITTED
    assert setting.target_tokens == 14


def test_row_has_a_cell_for_each_column():
    setting = _bahdanau_setting.Setting(3, 5, 11, batch_size=2, length=5)
    seconds = {
        task: {"ours": [0.1, 0.1], "torch": [0.2, 0.3]}
        for task in ("train", "decode")
    }
    numbers = bahdanau.summarise(
        "torch", seconds, 1.0, {"peak": 900.0, "imported": 300.0}, setting
    )
    cells = bahdanau.row("torch", numbers)
    assert len(cells) == len(bahdanau.HEADER)
    assert cells[:4] == ["torch", "250 ms", "40", "2.50"]


def test_parent_stays_small():
    # A child counts the memory that its parent held when it was started.
    arguments = bahdanau.parse_arguments(["--repeats", "3"])
    assert arguments.repeats == 3
    assert "benchmarks._bahdanau_torch" not in sys.modules
    assert "benchmarks._bahdanau_ours" not in sys.modules

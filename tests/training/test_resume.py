"""A run that was killed ends as one that was never stopped."""

import json
import signal
import time

import keras
import numpy as np
import pytest
import tensorflow as tf

from training.resume import write_atomically
from training.resume import write_json
from training.run import Run

_TIMES = ("seconds", "evaluation_seconds")


def _wait_for(path, process):
    for _ in range(6000):
        if path.exists():
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    raise AssertionError(f"{path} never came")


def _without_times(history):
    return [
        {name: value for name, value in scores.items() if name not in _TIMES}
        for scores in history
    ]


@pytest.fixture(scope="module")
def resumed(tmp_path_factory, command, tiny_fit):
    """A tiny run, killed after its first epoch and started again."""
    folder = tmp_path_factory.mktemp("killed")
    arguments = [*tiny_fit, "--export", "false"]
    process = command.start(arguments, folder)
    run = folder / "runs" / "tiny"
    # Written last, it names the newest checkpoint.
    _wait_for(run / "checkpoints" / "checkpoint", process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not (run / "metrics.json").exists()
    status, printed, errors = command.run(arguments, folder)
    assert status == 0, errors
    assert "Going on after epoch" in printed
    return run


def test_weights_of_the_best_model_are_bit_identical(tiny_run, resumed):
    whole, pieces = (
        keras.saving.load_model(
            run / "checkpoints" / "best.keras", compile=False
        ).weights  # without the seeds of dropout, which it does not keep
        for run in (tiny_run, resumed)
    )
    assert len(whole) == len(pieces) > 10
    for left, right in zip(whole, pieces):
        np.testing.assert_array_equal(left.value, right.value, left.path)


def test_state_of_the_training_is_bit_identical(tiny_run, resumed):
    whole, pieces = (
        tf.train.load_checkpoint(str(run / "checkpoints" / "ckpt-3"))
        for run in (tiny_run, resumed)
    )
    names = [
        name
        for name in whole.get_variable_to_shape_map()
        if name.startswith("variables/")
    ]
    assert len(names) > 60  # weights, seeds, two moments and the averages
    for name in names:
        np.testing.assert_array_equal(
            whole.get_tensor(name), pieces.get_tensor(name), name
        )


def test_history_is_the_same_but_for_the_times(tiny_run, resumed):
    whole, pieces = (Run(run).metrics for run in (tiny_run, resumed))
    assert len(whole["history"]) == 3
    assert _without_times(whole["history"]) == _without_times(pieces["history"])
    assert whole["best_epoch"] == pieces["best_epoch"] > 1


def test_the_best_model_is_the_averaged_one(tiny_run):
    # The last epoch is the best here, so its averages are in best.keras.
    metrics = Run(tiny_run).metrics
    assert metrics["best_epoch"] == 3
    state = tf.train.load_checkpoint(str(tiny_run / "checkpoints" / "ckpt-3"))
    saved = [
        state.get_tensor(name)
        for name in state.get_variable_to_shape_map()
        if name.startswith("variables/")
    ]
    model = keras.saving.load_model(
        tiny_run / "checkpoints" / "best.keras", compile=False
    )
    for variable in model.trainable_variables:
        same = [
            value
            for value in saved
            if value.shape == tuple(variable.shape)
            and np.array_equal(value, variable.value)
        ]
        # Once, as an average: the weights themselves are others.
        assert len(same) == 1, variable.path


def test_write_atomically_replaces_a_file(tmp_path):
    path = tmp_path / "deep" / "file.txt"
    write_atomically(path, lambda p: p.write_text("one"))
    write_atomically(path, lambda p: p.write_text("two"))
    assert path.read_text() == "two"
    assert [p.name for p in path.parent.iterdir()] == ["file.txt"]


def test_write_atomically_leaves_nothing_after_an_error(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("before")

    def fail(temporary):
        assert temporary.suffix == ".txt"
        temporary.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, fail)
    assert path.read_text() == "before"
    assert [p.name for p in tmp_path.iterdir()] == ["file.txt"]


def test_write_json_keeps_letters_as_they_are(tmp_path):
    write_json(tmp_path / "a.json", {"é": [1, 2.5, None]})
    text = (tmp_path / "a.json").read_text("utf-8")
    assert "é" in text
    assert json.loads(text) == {"é": [1, 2.5, None]}

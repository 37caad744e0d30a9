"""What is on disk while a fit goes on. Its kills: test_kills.py."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from training.resume import write_atomically
from training.resume import write_json
from training.run import Run


def test_the_best_model_is_the_averaged_one(tiny_run):
    # The last epoch is the best here, so its averages are in best.keras.
    metrics = Run(tiny_run).metrics
    assert metrics["best_epoch"] == 3
    state = tf.train.load_checkpoint(
        str(tiny_run / "checkpoints" / "state-0003-00000000")
    )
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

"""The benchmark of the encoders, without its peers."""

import dataclasses
import json
import pathlib

import numpy as np
import pytest

import zoo
from benchmarks import _agreement
from benchmarks import _encoders_setting
from benchmarks import encoders
from benchmarks._workers import Worker

FOLDER = pathlib.Path(__file__).parents[1] / "zoo" / "golden" / "vit"
HIDING = """
import importlib.util

def create():
    return Finder()

class Finder:
    def finds(self, name):
        return importlib.util.find_spec(name) is not None
"""


@pytest.fixture
def setting():
    """The sizes of the Vision Transformer in the folder."""
    return _encoders_setting.Setting(
        preset="vision_transformer_tiny",
        patch_size=4,
        num_layers=2,
        num_heads=3,
        hidden_dim=12,
        intermediate_dim=20,
        image_size=16,
        num_classes=5,
        batch_size=3,
        layer_norm_epsilon=1e-12,
    )


def test_arguments():
    options = encoders.parse_arguments(
        ["--precision", "bfloat16", "--against", "transformers"]
    )
    assert options.preset == "vision_transformer_tiny"
    assert (options.image_size, options.batch_size) == (224, 8)
    assert options.precision == ["bfloat16"]
    assert options.against == ["transformers"]
    assert options.repeats >= 5
    with pytest.raises(SystemExit):
        encoders.parse_arguments(["--against", "ours"])


def test_sizes_are_those_of_the_preset():
    setting = encoders.make_setting(
        encoders.parse_arguments(["--preset", "vision_transformer_small"])
    )
    assert (setting.num_heads, setting.hidden_dim) == (6, 384)
    assert setting.intermediate_dim == 4 * 384
    tokens = 8 * 197
    assert ("hidden", 12, 1, tokens, 384, 1536) in encoders.products_of(setting)


def test_batch_is_the_same_for_all(setting):
    images, classes = _encoders_setting.make_batch(setting)
    again, _ = _encoders_setting.make_batch(setting)
    assert images.shape == (3, 16, 16, 3)
    assert (images.dtype, classes.dtype) == ("float32", "int32")
    np.testing.assert_array_equal(images, again)
    assert 0 <= classes.min() <= classes.max() < 5


def test_a_contestant_does_not_find_ours(tmp_path, monkeypatch):
    (tmp_path / "finding_contestant.py").write_text(HIDING)
    root = pathlib.Path(encoders.__file__).parent.parent
    monkeypatch.setenv("PYTHONPATH", f"{root}:{tmp_path}")
    for hidden, found in (((), True), (encoders.HIDDEN, False)):
        with Worker("finding_contestant", 1, hidden) as worker:
            assert worker.call("finds", name="datasets") is found
            assert worker.call("finds", name="zoo")


def test_our_contestant_has_the_weights_of_transformers(setting, tmp_path):
    with Worker(
        "benchmarks._encoders_keras",
        1,
        who="ours",
        setting=dataclasses.asdict(setting),
        folder=str(FOLDER),
        jit=False,
    ) as worker:
        worker.call("logits", path=f"{tmp_path}/logits.npy")
        losses = worker.call("losses", steps=4)
        for kind in ("forward", "train"):
            assert 0 < worker.call("time", kind=kind, steps=2) < 10
    images, classes = _encoders_setting.make_batch(setting)
    # Which gives what transformers gives: tests/zoo/test_pretrained.py.
    expected = np.asarray(zoo.load_pretrained(FOLDER)(images))
    logits = np.load(tmp_path / "logits.npy")
    np.testing.assert_allclose(logits, expected, atol=1e-5)
    chances = np.exp(expected) / np.exp(expected).sum(-1, keepdims=True)
    first = -np.log(chances[np.arange(len(classes)), classes]).mean()
    assert losses[0] == pytest.approx(first, rel=1e-4)
    assert losses[-1] < losses[0]


def test_disagreement_is_an_error():
    logits, losses = np.array([[0.5, -20.0]]), np.array([6.9, 6.1])
    ours = logits, losses
    _agreement.compare_outputs("near", ours, (logits + 9e-5, losses), "float32")
    _agreement.compare_outputs(
        "rounded", ours, (logits + 1, losses), "bfloat16"
    )
    for theirs, precision, message in (
        ((logits + 2e-4, losses), "float32", "logits of other"),
        ((logits + 3, losses), "bfloat16", "logits of other"),
        ((logits, losses + np.array([0, 0.01])), "float32", "losses of other"),
        ((logits, losses + np.nan), "float32", "difference=nan"),
    ):
        with pytest.raises(RuntimeError, match=message):
            _agreement.compare_outputs("other", ours, theirs, precision)


def test_numbers_and_cells():
    seconds = {
        "forward": {
            "ours": [0.12, 0.11, 0.5],
            "transformers": [0.24, 0.22, 1.0],
            "matrix products, tensorflow": [0.2, 0.2, 0.9],
            "matrix products, torch": [0.1, 0.1, 0.4],
        },
        "train": {"ours": [0.3, 0.3, 0.8], "transformers": [0.6, 0.75, 1.6]},
    }
    numbers = encoders.summarise(seconds)
    assert list(numbers) == list(seconds["forward"])
    # The third round was disturbed, for all alike.
    assert numbers["ours"]["forward_to_limit"] == pytest.approx(1.2)
    assert encoders.row("ours", numbers["ours"]) == [
        *("ours", "120.0 ms", "1.20", "1.00"),
        *("300.0 ms", "1.00"),
    ]
    name = "transformers"
    assert encoders.row(name, numbers[name]) == [
        *(name, "240.0 ms", "2.40", "2.00"),
        *("750.0 ms", "2.00"),
    ]
    name = "matrix products, torch"
    cells = encoders.row(name, numbers[name])
    assert cells[1:3] == ["100.0 ms", "1.00"]
    assert len(cells) == len(encoders.HEADER)
    json.dumps(numbers)

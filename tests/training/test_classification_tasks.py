"""Classifiers of texts and pictures, from a configuration to a fitted run."""

import base64
import json

import numpy as np
import pytest
from sklearn.datasets import load_digits

from tests.training.two_kinds import write_texts
from training.configuration import config_first
from training.configuration import configuration_of
from training.configuration import ConfigurationError
from training.configuration import fit_parser
from training.configuration import resolve
from training.evaluate import evaluate_run
from training.fit_run import fit_run
from training.run import Run
from training.task import load_task

_DIGITS = [
    *("--preset", "vision_transformer_tiny_digits", "--epochs", "3"),
    *("--model.num_layers", "1", "--model.hidden_dim", "16"),
    *("--warmup_steps", "5", "--learning_rate", "0.01", "--jit", "false"),
    *("--average_decay", "0.9"),
]
_TEXTS = [
    *("--preset", "transformer_classifier_tiny", "--epochs", "3"),
    *("--model.num_layers", "1", "--model.hidden_dim", "16"),
    *("--warmup_steps", "5", "--learning_rate", "0.01", "--jit", "false"),
    *("--vocabulary_size", "40", "--max_sequence_length", "12"),
    *("--tokenizer", "word", "--batch_size", "8"),
]


@pytest.fixture
def start(tmp_path):
    """Start a run from arguments of the command line."""

    def run(*argv, name="run"):
        argv = [str(argument) for argument in argv]
        parsed = fit_parser(argv).parse_args(config_first(argv))
        configuration = resolve(parsed)
        started = Run.start(tmp_path / name, configuration)
        fit_run(configuration, started, None, "python train.py")
        return started, configuration

    return run


@pytest.fixture
def csv_file(tmp_path):
    return write_texts(tmp_path)


def test_texts_are_learned(start, csv_file, capsys):
    run, configuration = start(*_TEXTS, "--dataset", f"csv:{csv_file}")
    printed = capsys.readouterr().out
    metrics = run.metrics
    counts = metrics["data"]["texts"]
    assert min(counts.values()) >= 2 and sum(counts.values()) == 60
    assert f"train      {counts['train']:>7} texts, 2 classes of" in printed
    assert metrics["validation"]["accuracy"] == 1.0
    assert isinstance(metrics["example"], str)
    scores = evaluate_run(run, configuration, "test")
    assert scores["accuracy"] == 1.0 and scores["test_runs"] == 1
    assert np.sum(scores["confusion_matrix"]) == counts["test"]
    assert np.trace(scores["confusion_matrix"]) == counts["test"]
    assert scores["most_confident_errors"] == []


def test_digits_are_learned(start, capsys):
    run, configuration = start(*_DIGITS, "--crop_padding", "1")
    assert "1,294 images, 10 classes of" in capsys.readouterr().out
    assert run.metrics["validation"]["accuracy"] > 0.3
    content = base64.b64decode(run.metrics["example"]["image_png_base64"])
    assert content.startswith(b"\x89PNG")
    # Mean and deviation of the training pictures, 0 to 1, by NumPy.
    task = load_task(configuration)
    pixels = task.splits["train"].images / 255
    config = json.loads(
        (run.directory / "preprocessor/config.json").read_text()
    )
    assert config["mean"] == pytest.approx([pixels.mean()], rel=1e-5)
    deviation = [pixels.std()]
    assert config["standard_deviation"] == pytest.approx(deviation, rel=1e-5)
    # The scores are those of the kept model on pictures scaled by hand.
    test = task.splits["test"]
    inputs = (test.images / 255 - pixels.mean()) / pixels.std()
    logits = run.load_model()(inputs.astype("float32")).numpy()
    right = np.mean(logits.argmax(axis=1) == test.labels)
    scores = evaluate_run(run, configuration, "test")
    assert scores["accuracy"] == pytest.approx(right)
    assert len(load_digits().target) == 1294 + 143 + scores["images"]


def test_a_model_for_other_data_is_refused(start, csv_file):
    with pytest.raises(
        ConfigurationError, match="is a model for image_classification"
    ):
        start(*_DIGITS, "--dataset", f"csv:{csv_file}")


def test_classes_that_the_model_does_not_know(start, csv_file, tmp_path):
    run, _ = start(*_TEXTS, "--dataset", f"csv:{csv_file}")
    other = tmp_path / "other.csv"
    rows = csv_file.read_text("utf-8").replace("bad", "awful")
    other.write_text(rows, "utf-8")
    changed = configuration_of({**run.config, "dataset": f"csv:{other}"})
    with pytest.raises(ConfigurationError, match="'awful'"):
        evaluate_run(run, changed, "test")


def test_files_of_pictures_need_a_size(start, tmp_path):
    from PIL import Image

    for label in ("a", "b"):
        folder = tmp_path / "pictures" / label
        folder.mkdir(parents=True)
        for number in range(5):
            shade = 40 * number + 10 * (label == "a")
            image = Image.new(
                "RGB", (9 + number, 12), (shade, 200 - shade, 90 + shade)
            )
            image.save(folder / f"{number}.png")
    arguments = [*_DIGITS, "--dataset", f"images:{tmp_path / 'pictures'}"]
    with pytest.raises(ConfigurationError, match="Received: height=0, width=0"):
        start(*arguments)
    run, configuration = start(
        *arguments, "--height", "8", "--width", "6", name="sized"
    )
    assert run.load_preprocessor().image_shape == (8, 6, 3)
    scores = evaluate_run(run, configuration, "test")
    assert scores["images"] == run.metrics["data"]["images"]["test"] >= 2
    paths = {error["path"] for error in scores["most_confident_errors"]}
    assert all(path.endswith(".png") for path in paths)


def test_changed_data_are_noticed(start, csv_file, capsys):
    options = [*_TEXTS, "--dataset", f"csv:{csv_file}", "--epochs", "1"]
    run, configuration = start(*options)
    scores = evaluate_run(run, configuration, "test")
    assert "changed_splits" not in scores
    assert "warning" not in capsys.readouterr().err
    more = "".join(f"\nnew {number} good,good" for number in range(40))
    csv_file.write_text(csv_file.read_text("utf-8") + more, "utf-8")
    scores = evaluate_run(run, configuration, "test")
    assert scores["changed_splits"] == ["train", "test"]
    assert "other examples in train and test" in capsys.readouterr().err
    assert "changed_splits" in run.test_runs[1]
    with pytest.raises(
        ConfigurationError, match="other examples in train and validation"
    ):
        start(*options)
    # A run of an earlier version knows nothing of its data.
    (run.directory / "data.json").unlink()
    scores = evaluate_run(run, configuration, "test")
    assert "changed_splits" not in scores


def test_balanced_weights(start, csv_file):
    rows = csv_file.read_text("utf-8").splitlines()
    # A third of those that are bad.
    kept = [r for n, r in enumerate(rows) if n == 0 or n % 2 or n % 6 == 0]
    csv_file.write_text("\n".join(kept), "utf-8")
    run, configuration = start(
        *_TEXTS,
        *("--dataset", f"csv:{csv_file}", "--class_weights", "balanced"),
        *("--epochs", "1"),
    )
    task = load_task(configuration)
    labels = task.splits["train"].labels
    counts = np.bincount(labels)
    weights = task.class_weights(configuration.recipe, run.load_preprocessor())
    np.testing.assert_allclose(weights * counts, len(labels) / 2)

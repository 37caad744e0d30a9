import types

import numpy as np
import pytest

import zoo
from benchmarks import deletion
from preprocessing import ImagePreprocessor
from training.configuration import ConfigurationError
from training.image_classification_task import Images
from training.run import Run


def test_the_highest_are_left_out():
    ranks = np.array([[0.1, 0.4, 0.3, 0.2], [0.5, 0.5, 0.5, 0.9]])
    assert deletion.kept(ranks, 2).tolist() == [
        [True, False, False, True],
        [False, True, True, False],
    ]


def test_blank_patches():
    images = np.zeros((1, 4, 6, 1))
    images[0, 1, 4] = 0.5  # in the third patch of the first row
    images[0, 2:, :3] = 0.7  # covers the first patch of the second row only
    images[0, 2:, 2] = 0.7
    assert deletion.blank_patches(images, (2, 3)).tolist() == [
        [True, True, False, True, False, True]
    ]


def test_blank_patches_come_last_by_chance():
    blank = np.array([[True, False, True, False]] * 200)
    ranks = deletion.random_ranks(blank, np.random.default_rng(0))
    first = deletion.kept(ranks, 2)
    assert (first == [True, False, True, False]).all()
    third = ~deletion.kept(ranks, 3)
    assert 60 < third[:, 0].sum() < 140


def test_interval_of_a_known_mean():
    values = np.random.default_rng(1).normal(3.0, 2.0, 10_000)
    mean, low, high = deletion.interval(values, np.random.default_rng(0))
    # 1.96 standard errors of 0.02.
    assert mean == pytest.approx(values.mean())
    assert low == pytest.approx(mean - 0.0392, abs=0.004)
    assert high == pytest.approx(mean + 0.0392, abs=0.004)


class _Task:
    """Pictures whose class is where the ink is: left or right."""

    def __init__(self):
        draw = np.random.default_rng(0)
        labels = np.arange(12) % 2
        images = np.zeros((12, 4, 4, 1), np.uint8)
        for image, label in zip(images, labels):
            row = draw.integers(0, 4)
            image[row, 2 * label : 2 * label + 2] = 255
        self.splits = {
            name: Images(images, labels) for name in ("validation", "test")
        }

    def labels(self, preprocessor, split):
        return self.splits[split].labels


def test_patches_that_do_not_divide_the_picture_are_refused():
    with pytest.raises(ConfigurationError, match="4 x 7 pixels, 2 x 3 patch"):
        deletion.blank_patches(np.zeros((1, 4, 7, 1)), (2, 3))


def test_a_test_is_noted_in_the_run(tmp_path, monkeypatch, capsys):
    run = Run(tmp_path / "run")
    config = {"preset": "vision_transformer_tiny_digits"}
    configuration = types.SimpleNamespace(**config)
    run.load_model = run.load_preprocessor = lambda: None
    monkeypatch.setattr(deletion.Run, "find", lambda path: run)
    monkeypatch.setattr(deletion.Run, "config", config)
    monkeypatch.setattr(
        deletion, "configuration_of", lambda config: configuration
    )
    task = types.SimpleNamespace(scored="images")
    monkeypatch.setattr(deletion, "load_task", lambda *arguments: task)
    falls = {"rollout": np.array([0.5, 0.25]), "random": np.zeros(2)}
    monkeypatch.setattr(deletion, "measure", lambda *arguments: falls)
    run.directory.mkdir()
    deletion.main(["run", "--split", "validation"])
    assert run.test_runs == []
    deletion.main(["run"])
    assert "rollout" in capsys.readouterr().out
    (noted,) = run.test_runs
    assert noted["benchmark"] == "deletion"
    assert noted["falls"] == {"rollout": 0.375, "random": 0.0}
    assert noted["images"] == 2


def test_a_model_for_texts_has_no_patches(tiny_run):
    with pytest.raises(ConfigurationError, match="for translation"):
        deletion.main([str(tiny_run)])


@pytest.mark.parametrize("pooling", ["class_token", "mean", "attention"])
def test_the_fall_is_that_of_the_model_without_those_patches(pooling):
    model = zoo.create_model(
        "vision_transformer_tiny",
        image_shape=(4, 4, 1),
        num_classes=2,
        patch_size=2,
        hidden_dim=8,
        num_heads=2,
        num_layers=2,
        intermediate_dim=8,
        pooling=pooling,
    )
    model.build()
    # Small numbers at the start attend everywhere alike.
    model.set_weights([3 * weight for weight in model.get_weights()])
    preprocessor = ImagePreprocessor((4, 4), 1, 0.2, 0.5, ("left", "right"))
    task = _Task()
    falls = deletion.measure(
        deletion.Maps(model, preprocessor), task, preprocessor, "test", 0.25, 0
    )
    images = task.splits["test"].images / np.float32(255)
    inputs = (images - 0.2) / 0.5
    scores = model.rollout(inputs).numpy().reshape(12, 4)
    prefix = int(pooling == "class_token")
    for row in range(12):
        left_out = int(np.argmax(scores[row]))
        mask = np.array([[True] * prefix + [n != left_out for n in range(4)]])
        shares = []
        for token_mask in (None, mask):
            logits = model(
                inputs[row : row + 1], token_mask=token_mask
            ).numpy()[0]
            shares.append(np.exp(logits) / np.exp(logits).sum())
        label = row % 2
        expected = shares[0][label] - shares[1][label]
        assert falls["rollout"][row] == pytest.approx(expected, abs=1e-5)
    assert set(falls) == {"rollout", "last layer", "mean rollout", "random"}
    rows = deletion.table(falls)
    assert [row[0] for row in rows] == list(falls)

"""Nothing of a user's own data leaves with an exported model."""

import json
import shutil

import pytest
import tensorflow as tf

from serving.disclosure import command_without_folders
from serving.disclosure import without_folders
from serving.export import export_run
from training.run import Run


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("csv:/home/me/reviews.csv", "csv:reviews.csv"),
        ("csv:reviews.csv", "csv:reviews.csv"),
        ("/home/a:b/held out.csv", "held out.csv"),
        ("images:photos/summer/", "images:summer"),
        ("https://example.org/data", "https://example.org/data"),
        ({"a": ["/x/y", 3, None]}, {"a": ["y", 3, None]}),
    ],
)
def test_paths_are_their_last_part(value, shown):
    assert without_folders(value) == shown


def test_a_command_has_no_folders():
    command = (
        "python train.py --dataset 'csv:/home/my self/a b.csv' --epochs 3 "
        "--init-from=/home/me/bert --runs /scratch/runs"
    )
    assert command_without_folders(command) == (
        "python train.py --dataset 'csv:a b.csv' --epochs 3 "
        "--init-from=bert --runs runs"
    )


def _own(run, folder):
    """The same run, on data of a user."""
    shutil.copytree(run.directory, folder)
    own = Run(folder)
    metrics = own.metrics
    metrics["data"] = {
        "name": "csv:/home/me/reviews.csv",
        "description": "Texts.",
        "licence": "",
        "class_names": ["bad", "good"],
        "notes": ["/home/me/secret.png: broken"],
    }
    metrics["command"] = "python train.py --dataset csv:/home/me/reviews.csv"
    if isinstance(metrics["example"], str):
        metrics["example"] = "a secret"
    own.save_metrics(metrics)
    error = {"text": "a secret", "class": "bad", "predicted": "good"}
    own.add_test_run({"accuracy": 0.5, "most_confident_errors": [error]})
    return own


def test_texts_of_a_user_stay_at_home(text_run, tmp_path):
    own = _own(text_run, tmp_path / "run")
    about = {"licence": "MIT", "description": "Tells good from bad."}
    path = export_run(own, tmp_path / "models", about=about)
    for file in ("model_card.json", "assets.extra/tf_serving_warmup_requests"):
        content = (path / file).read_bytes()
        assert b"secret" not in content
        assert b"/home" not in content
    card = json.loads((path / "model_card.json").read_text("utf-8"))
    assert card["licence"] == "MIT"
    assert card["description"] == about["description"]
    assert card["data"]["name"] == "csv:reviews.csv"
    assert card["data"]["class_names"] == ["bad", "good"]
    assert card["metrics"]["test_runs"] == [{"accuracy": 0.5}]
    assert card["command"] == "python train.py --dataset csv:reviews.csv"


def test_pictures_of_a_user_stay_at_home(image_run, tmp_path):
    own = _own(image_run, tmp_path / "run")
    path = export_run(own, tmp_path / "models")
    requests = path / "assets.extra" / "tf_serving_warmup_requests"
    grey = tf.io.encode_png(_grey(own.load_preprocessor().image_shape))
    assert grey.numpy() in requests.read_bytes()


def _grey(shape):
    return tf.cast(tf.fill(shape, 128), tf.uint8)

"""Classifiers with random weights, and what is exported of them."""

import pytest

from serving.export import export_run
from tests.serving import classifier_runs


@pytest.fixture(scope="session")
def text_run(tmp_path_factory):
    """A `Run` of a classifier of texts."""
    return classifier_runs.make_run(
        tmp_path_factory.mktemp("texts") / "text",
        "transformer_classifier_tiny",
        *classifier_runs.text_model(),
        example="a fine film",
    )


@pytest.fixture(scope="session")
def text_saved_model(text_run):
    """The folder of version 1 of it."""
    return export_run(text_run, text_run.directory.parent / "model")


@pytest.fixture(scope="session")
def encoder_run(tmp_path_factory):
    """A `Run` of an encoder of texts, without a head."""
    return classifier_runs.make_run(
        tmp_path_factory.mktemp("encoders") / "encoder",
        "transformer_classifier_tiny",
        *classifier_runs.text_model(num_classes=None, pooling="mean"),
        example="a fine film",
    )


@pytest.fixture(scope="session")
def encoder_saved_model(encoder_run):
    """The folder of version 1 of it."""
    return export_run(encoder_run, encoder_run.directory.parent / "model")


@pytest.fixture(scope="session")
def image_run(tmp_path_factory):
    """A `Run` of a classifier of pictures."""
    return classifier_runs.make_run(
        tmp_path_factory.mktemp("images") / "image",
        "vision_transformer_tiny",
        *classifier_runs.image_model(),
        example=classifier_runs.image_example(),
    )


@pytest.fixture(scope="session")
def image_saved_model(image_run):
    """The folder of version 1 of it."""
    return export_run(image_run, image_run.directory.parent / "model")

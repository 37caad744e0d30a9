"""Classifiers with random weights, and what is exported of them."""

import functools
import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest

import serving
import zoo
from preprocessing import TranslationPreprocessor
from serving.export import export_run
from serving.graphs import save_graph
from serving.translator_graph import TranslatorGraph
from tests.serving import classifier_runs
from tests.zoo.conftest import draw_weights
from zoo import Decoding

MODEL_SERVER = pathlib.Path(__file__).with_name("model_server.py")
SHIPPED_MODELS = [
    MODEL_SERVER.parents[2] / "saved_models" / name
    for name in (
        "bahdanau_translator_tiny_phrases",
        "transformer_classifier_tiny_language_id",
        "transformer_translator_tiny_phrases",
        "vision_transformer_tiny_digits",
    )
]


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


@pytest.fixture(scope="session")
def translator_saved_model(tmp_path_factory):
    """A translator with random weights, `beam` and all kinds of attention."""
    preprocessor = TranslationPreprocessor.train(
        ["a b c d", "b b", "d c a b c a"], ["x y", "y y z", "z x w v"]
    )
    model = zoo.create_model(
        "transformer_translator_tiny",
        source_vocabulary_size=preprocessor.source_tokenizer.vocabulary_size,
        target_vocabulary_size=preprocessor.target_tokenizer.vocabulary_size,
        num_layers=2,
        num_heads=3,
        hidden_dim=12,
        intermediate_dim=8,
        share_embeddings=False,
    )
    ids = np.zeros((1, 2), "int32")
    model({"source": ids, "target": ids})
    draw_weights(model, 3)
    beam = Decoding("beam", 3, length_penalty=0.6)
    graph = TranslatorGraph(model, preprocessor, beam)
    path = tmp_path_factory.mktemp("translators") / "model" / "1"
    save_graph(graph, path)
    return path


@pytest.fixture(scope="session")
def served_models(translator_saved_model, encoder_saved_model):
    """Folders of the models that `server` serves, by their names."""
    shipped = {path.name: path / "1" for path in SHIPPED_MODELS}
    return {
        **shipped,
        "translator": translator_saved_model,
        "encoder": encoder_saved_model,
    }


@pytest.fixture(scope="session")
def local_model(served_models):
    """Loads one of them here."""
    return functools.cache(lambda name: serving.load(served_models[name]))


@pytest.fixture(scope="session")
def server(served_models):
    """Ports of a server of these, `{"grpc": port, "http": port}`."""
    process = subprocess.Popen(
        [
            *(sys.executable, str(MODEL_SERVER)),
            *(f"{name}={path}" for name, path in served_models.items()),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield json.loads(process.stdout.readline())
    finally:
        process.kill()
        process.communicate()

"""What holds for every preset of the zoo."""

import dataclasses
import inspect
import re

import keras
import numpy as np
import pytest

import datasets
import zoo
from training.recipe import Recipe
from training.recipe import TextPreprocessing

# A new preset needs a row here: the number of its parameters, by hand.
#
# bahdanau_translator, with m the embedding, n the hidden and l the readout
# width, S and T the vocabularies, e the input of the query (n, or n + m):
#   embeddings    (S + T) m
#   encoder       2 (3 n (m + n) + 6 n), a GRU each way
#   bridge        2 n n + n
#   attention     e n + 2 n n + n
#   inputs        3 n m + 3 n;  contexts 6 n n;  cell 3 n n + n
#   readout       2 l (3 n + m) + 2 l
#   output        l T + T, or with tied embeddings nothing


def count(m, n, l, vocabulary, query_dim, tied):  # noqa: E741
    embeddings = 2 * vocabulary * m
    encoder = 2 * (3 * n * (m + n) + 6 * n)
    bridge = 2 * n * n + n
    attention = query_dim * n + 2 * n * n + n
    decoder = 3 * n * m + 3 * n + 6 * n * n + 3 * n * n + n
    readout = 2 * l * (3 * n + m) + 2 * l
    output = 0 if tied else (l + 1) * vocabulary
    return (
        embeddings + encoder + bridge + attention + decoder + readout + output
    )


PARAMETERS = {
    "bahdanau_translator_tiny": count(64, 128, 64, 1000, 192, False),
    "bahdanau_translator_small": count(256, 256, 256, 4000, 512, True),
    "bahdanau_translator_base": count(256, 512, 256, 8000, 768, True),
    "bahdanau_translator_large": count(620, 1000, 500, 30_000, 1000, False),
}


def test_no_preset_is_missing():
    assert sorted(PARAMETERS) == zoo.list_presets()


@pytest.fixture(params=zoo.list_presets())
def preset(request):
    return zoo.get_preset(request.param)


def test_name(preset):
    model = re.sub("(?<=[a-z])(?=[A-Z])", "_", preset.model.__name__).lower()
    sizes = "tiny|small|base|large"
    assert re.fullmatch(f"{model}_({sizes})", preset.name)


def test_paper(preset):
    assert re.fullmatch(r".+, \d{4}, https://arxiv\.org/\S+", preset.paper)


def test_recipe_and_preprocessing(preset):
    Recipe(**preset.recipe)
    TextPreprocessing(**preset.preprocessing)
    for given, fields in (
        (preset.recipe, dataclasses.fields(Recipe)),
        (preset.preprocessing, dataclasses.fields(TextPreprocessing)),
    ):
        assert set(given) <= {field.name for field in fields}


def test_dataset(preset):
    assert preset.dataset in datasets.list_datasets()


def test_architecture(preset):
    arguments = inspect.signature(preset.model.__init__).parameters
    assert set(preset.architecture) <= set(arguments)
    assert set(preset.counted_with) <= set(arguments)
    assert not set(preset.architecture) & set(preset.counted_with)


def test_parameters(preset):
    model = zoo.create_model(preset.name, **preset.counted_with)
    ids = np.array([[5]])
    model({"source": ids, "target": ids})
    assert isinstance(model, keras.Model)
    assert model.count_params() == preset.parameters == PARAMETERS[preset.name]


def test_an_unknown_argument(preset):
    with pytest.raises(ValueError, match="hiden_dim"):
        zoo.create_model(preset.name, **preset.counted_with, hiden_dim=3)

"""What holds for every preset of the zoo."""

import concurrent.futures
import inspect
import itertools
import re

import keras
import numpy as np
import pytest

import datasets
import zoo
from training.recipe import PREPROCESSING
from training.recipe import RECIPES

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


def encoder(layers, d, f, pre_norm):
    """Blocks of width d, inside their feed-forward networks f:
    four projections, two dense layers, two norms; and the last norm."""
    block = 4 * (d * d + d) + (d * f + f) + (f * d + d) + 2 * 2 * d
    return layers * block + (2 * d if pre_norm else 0)


def text(layers, d, f, vocabulary, length):
    """Attention pooling has one vector."""
    return (vocabulary + length) * d + encoder(layers, d, f, True) + d


def bert(layers, d):
    """Three tables and their norm, blocks, pooler: all of BERT uncased but
    the heads of its pretraining."""
    embeddings = (30_522 + 512 + 2) * d + 2 * d
    return embeddings + encoder(layers, d, 4 * d, False) + d * d + d


def vit(layers, d):
    """Patches of 16 x 16 x 3, a class token, 14 x 14 and one positions."""
    patches = 16 * 16 * 3 * d + d
    return patches + d + 197 * d + encoder(layers, d, 4 * d, True)


def small_vit(layers, d, f, filters, patches):
    """Filters of 3 x 3 without biases, positions, attention pooling, and a
    head of 10 classes."""
    convolutions = sum(9 * a * b for a, b in itertools.pairwise(filters))
    rest = patches * d + d + 10 * d + 10
    return convolutions + encoder(layers, d, f, True) + rest


def transformer(num_layers, width, inner, vocabulary, post_norm=False):
    """Blocks of the encoder have four square matrices, those of the decoder
    eight; two or three norms; one embedding for all; pre-norm has two norms
    in the end."""
    attention = 4 * (width + 1) * width
    network = (width + 1) * inner + (inner + 1) * width
    blocks = num_layers * (3 * attention + 2 * network + 5 * 2 * width)
    return vocabulary * width + blocks + (0 if post_norm else 4 * width)


PARAMETERS = {
    "transformer_translator_tiny": transformer(4, 128, 256, 4000),
    "transformer_translator_small": transformer(4, 256, 1024, 8000),
    "transformer_translator_base": transformer(6, 512, 2048, 37_000, True),
    "transformer_translator_large": transformer(6, 1024, 4096, 37_000, True),
    "bahdanau_translator_tiny": count(64, 128, 64, 1000, 192, False),
    "bahdanau_translator_small": count(256, 256, 256, 4000, 512, True),
    "bahdanau_translator_base": count(256, 512, 256, 8000, 768, True),
    "bahdanau_translator_large": count(620, 1000, 500, 30_000, 1000, False),
    "transformer_classifier_tiny": text(2, 64, 128, 2000, 64),
    "transformer_classifier_small": text(2, 256, 256, 16_000, 128),
    "transformer_classifier_base": bert(12, 768),
    "transformer_classifier_large": bert(24, 1024),
    "vision_transformer_tiny": vit(12, 192),
    "vision_transformer_small": vit(12, 384),
    "vision_transformer_base": vit(12, 768),
    "vision_transformer_large": vit(24, 1024),
    "vision_transformer_tiny_digits": small_vit(3, 64, 128, (1, 64), 16),
    "vision_transformer_tiny_fashion_mnist": small_vit(
        4, 96, 192, (1, 64, 96), 49
    ),
    "vision_transformer_tiny_cifar10": small_vit(4, 128, 128, (3, 64, 128), 64),
}
# As they are published, without the classifier.
PUBLISHED = {
    "transformer_classifier_base": 109_482_240,
    "transformer_classifier_large": 335_141_888,
    "vision_transformer_tiny": 5_524_416,
    "vision_transformer_small": 21_665_664,
    "vision_transformer_base": 85_798_656,
    "vision_transformer_large": 303_301_632,
}


def test_no_preset_is_missing():
    assert sorted(PARAMETERS) == zoo.list_presets()


@pytest.fixture(params=zoo.list_presets())
def preset(request):
    return zoo.get_preset(request.param)


def test_name(preset):
    model = re.sub("(?<=[a-z])(?=[A-Z])", "_", preset.model.__name__).lower()
    sizes = "tiny|small|base|large"
    # Those for one kind of picture end with the set they were sized for.
    end = f"(_{preset.dataset})?" if model == "vision_transformer" else ""
    assert re.fullmatch(f"{model}_({sizes}){end}", preset.name)


def test_paper(preset):
    assert re.fullmatch(r".+, \d{4}, https://arxiv\.org/\S+", preset.paper)


def test_recipe_and_preprocessing(preset):
    # Unknown fields are a TypeError.
    RECIPES[preset.model.task](**preset.recipe)
    PREPROCESSING[preset.model.task](**preset.preprocessing)


def test_dataset(preset):
    assert preset.dataset in datasets.list_datasets()


def test_architecture(preset):
    arguments = inspect.signature(preset.model.__init__).parameters
    assert set(preset.architecture) <= set(arguments)
    assert set(preset.counted_with) <= set(arguments)
    assert not set(preset.architecture) & set(preset.counted_with)


def count_parameters(preset):
    model = zoo.create_model(preset.name, **preset.counted_with)
    assert isinstance(model, keras.Model)
    if preset.name.startswith("bahdanau_translator"):
        ids = np.array([[5]])
        model({"source": ids, "target": ids})
    else:
        model.build()
    return model.count_params()


def count_without_numbers(preset):
    """Those that build without a call need no numbers, which for the large
    ones would take long to make. Keras makes them with the next model of the
    same thread, in spite of all."""

    def count():
        with keras.StatelessScope(initialize_variables=False):
            return count_parameters(preset)

    with concurrent.futures.ThreadPoolExecutor() as thread:
        return thread.submit(count).result()


def test_parameters(preset):
    if preset.name.startswith("bahdanau_translator"):
        found = count_parameters(preset)
    else:
        found = count_without_numbers(preset)
    assert found == preset.parameters == PARAMETERS[preset.name]
    assert found == PUBLISHED.get(preset.name, found)


def test_an_unknown_argument(preset):
    with pytest.raises(ValueError, match="hiden_dim"):
        zoo.create_model(preset.name, **preset.counted_with, hiden_dim=3)

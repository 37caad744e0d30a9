import keras
import numpy as np
import pytest

import zoo

# Row 0 is padded; 2 is START, 3 is END.
SOURCE = np.array([[5, 6, 7, 3, 0, 0, 0], [4, 5, 6, 7, 8, 9, 3]])
TARGET = np.array([[2, 4, 5, 6, 0], [2, 7, 8, 9, 10]])


@pytest.fixture(autouse=True)
def seed():
    keras.utils.set_random_seed(11)


@pytest.fixture
def inputs():
    return {"source": SOURCE, "target": TARGET}


SIZES = {
    "bahdanau": {
        "embedding_dim": 6,
        "hidden_dim": 7,
        "input_in_query": False,
    },
    "transformer": {
        "num_layers": 2,
        "num_heads": 3,
        "hidden_dim": 12,
        "intermediate_dim": 20,
        "share_embeddings": False,
        "dropout": 0.0,
    },
}


@pytest.fixture(scope="session")
def make_translator():
    """Makes small translators whose weights all matter: all sizes differ,
    17 source and 13 target tokens."""

    def make(seed=0, kind="bahdanau", **overrides):
        model = zoo.create_model(
            f"{kind}_translator_tiny",
            **{
                "source_vocabulary_size": 17,
                "target_vocabulary_size": 13,
                **SIZES[kind],
                **overrides,
            },
        )
        model({"source": SOURCE[:, :1], "target": TARGET[:, :1]})
        draw_weights(model, seed)
        return model

    return make


def draw_weights(model, seed):
    """Weights that all matter."""
    draw = np.random.default_rng(seed).normal
    for weight in model.trainable_variables:
        one = float(weight.path.endswith("gamma"))
        weight.assign(one + draw(scale=0.5, size=weight.shape))

import keras
import numpy as np
import pytest

from layers import attention_rollout
from tests.layers.running import array
from tests.layers.running import assert_allclose
from tests.layers.running import assert_array_equal
from tests.layers.running import BACKEND
from tests.layers.running import dtype_of
from tests.layers.running import graphs
from tests.zoo.classifier_checks import check_chance_in_training_only
from tests.zoo.classifier_checks import check_every_weight_has_a_gradient
from tests.zoo.classifier_checks import (
    check_one_compiled_step_moves_every_weight,
)
from tests.zoo.classifier_checks import draw_weights
from zoo.vision_transformer import VisionTransformer

IMAGES = np.random.default_rng(0).normal(size=(2, 8, 12, 2)).astype("float32")

kinds = pytest.mark.parametrize(
    "overrides",
    [
        {"tokenizer": "patch", "pooling": "class_token"},
        {"tokenizer": "shifted_patch", "pooling": "mean", "pooler": True},
        {"tokenizer": "convolution", "pooling": "attention"},
        {"position": "sinusoidal", "num_classes": None},
    ],
    ids=lambda overrides: "-".join(map(str, overrides.values())),
)


def made(seed=0, **overrides):
    """A small model whose weights all matter, and whose sizes all differ:
    2 x 3 patches of 4 x 4 pixels of 2 channels."""
    sizes = {
        "image_shape": (8, 12, 2),
        "num_classes": 5,
        "patch_size": 4,
        "num_layers": 2,
        "num_heads": 3,
        "hidden_dim": 12,
        "intermediate_dim": 20,
    }
    model = VisionTransformer(**{**sizes, **overrides})
    model.build()
    draw_weights(model, seed)
    return model


def outputs_of(model, images):
    """By the layers, each of which has tests of its own."""
    states = model.patches(images)
    if model.pooling == "class_token":
        front = np.broadcast_to(
            array(model.class_token.tokens), (len(images), 1, 12)
        )
        states = np.concatenate([front, states], axis=1)
    states = model.positions(states, grid_shape=(2, 3))
    for block in model.encoder.blocks:
        states = block(states)
    states = array(model.encoder.normalization(states))
    if model.pooling == "class_token":
        pooled = states[:, 0]
    elif model.pooling == "mean":
        pooled = states.mean(axis=1)
    else:
        logits = states @ array(model.attention_pooling.query_kernel)
        weights = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        pooled = (weights * states).sum(axis=1)
    for layer, activation in (
        (model.pooler_dense, np.tanh),
        (model.head, lambda x: x),
    ):
        if layer is not None:
            kernel, bias = map(array, layer.weights)
            pooled = activation(pooled @ kernel + bias)
    return pooled


# What it computes. Against transformers: tests/zoo/test_pretrained.py.


@kinds
def test_equals_its_layers_and_is_saved(overrides, tmp_path):
    model = made(**overrides)
    outputs = model(IMAGES)
    assert outputs.shape == (2, 12 if model.head is None else 5)
    assert dtype_of(outputs) == "float32"
    assert_allclose(outputs, outputs_of(model, IMAGES), atol=1e-5)
    assert_allclose(model(IMAGES[1:]), outputs[1:], atol=1e-5)
    # As a file.
    config = model.get_config()
    for name, value in overrides.items():
        assert config[name] == value
    assert VisionTransformer.from_config(config).get_config() == config
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    assert type(loaded) is VisionTransformer
    assert_array_equal(loaded(IMAGES), outputs)
    names = list(model.attention_scores(IMAGES))
    assert list(loaded.attention_scores(IMAGES)) == names


def test_in_graphs():
    model = made(tokenizer="convolution", pooling="attention")
    signature = [keras.Input((None, None, 2))]
    expected = outputs_of(model, IMAGES)
    for run in graphs(model, signature):
        assert_allclose(run(IMAGES), expected, atol=2e-5)


@kinds
def test_pictures_of_another_size(overrides):
    model = made(**overrides)
    images = np.random.default_rng(1).normal(size=(2, 16, 8, 2))
    images = images.astype("float32")
    outputs = model(images)
    assert np.isfinite(array(outputs)).all()
    scores = model.attention_scores(images)["encoder/0/self"]
    prefix = int(model.pooling == "class_token")
    assert scores.shape == (2, 3, 8 + prefix, 8 + prefix)
    assert model.rollout(images).shape == (2, 4, 2)
    # Where the picture is the same everywhere, all patches look alike but
    # for their positions, so those do matter.
    assert np.abs(array(model(images[:, ::-1])) - array(outputs)).max() > 1e-3


def test_grid():
    model = made(tokenizer="convolution")
    assert len(model.patches.convolutions) == 2
    assert model.grid_shape_of(IMAGES) == (2, 3)
    # Convolutions take any size.
    assert model.grid_shape_of(IMAGES[:, :7, :9]) == (2, 3)
    assert model(IMAGES[:, :7, :9]).shape == (2, 5)
    assert tuple(made(patch_size=2).positions.grid_shape) == (4, 6)


# Its attention.


@kinds
def test_attention_scores(overrides):
    model = made(**overrides)
    scores = model.attention_scores(IMAGES)
    names = ["encoder/0/self", "encoder/1/self"]
    length = 6 + (model.pooling == "class_token")
    expected = dict.fromkeys(names, (2, 3, length, length))
    if model.pooling == "attention":
        expected["pooling"] = (2, 1, 1, length)
    assert {name: each.shape for name, each in scores.items()} == expected
    for each in scores.values():
        assert dtype_of(each) == "float32"
        assert_allclose(
            array(each).sum(axis=-1), np.ones(each.shape[:3]), atol=1e-6
        )
    assert list(model.attention_scores(IMAGES, layers=names[1:])) == names[1:]


def test_rollout():
    # The paper's product, one picture and one head at a time.
    for pooling in ("class_token", "mean", "attention"):
        model = made(pooling=pooling)
        scores = model.attention_scores(IMAGES)
        for heads in (None, [1]):
            found = array(model.rollout(IMAGES, heads=heads))
            for sample in range(2):
                held = np.eye(7 if pooling == "class_token" else 6)
                for place in range(2):
                    one = array(scores[f"encoder/{place}/self"])[sample]
                    one = one[heads or slice(None)].mean(axis=0)
                    held = (one / 2 + np.eye(len(held)) / 2) @ held
                if pooling == "class_token":
                    expected = held[0, 1:]
                elif pooling == "mean":
                    expected = held.mean(axis=0)
                else:
                    expected = array(scores["pooling"])[sample, 0, 0] @ held
                assert_allclose(
                    found[sample], expected.reshape(2, 3), atol=1e-6
                )
        if pooling != "class_token":
            assert_allclose(found.sum(axis=(1, 2)), [1, 1], atol=1e-5)
        given = model.rollout(IMAGES, scores=scores, heads=heads)
        assert_array_equal(given, found)


def test_rollout_in_a_graph():
    model = made()
    expected = model.rollout(IMAGES)
    for run in graphs(model.rollout):
        assert_allclose(run(IMAGES), expected, atol=1e-6)


def test_scores_are_those_of_rollout_too():
    model = made(pooling="mean")
    held = attention_rollout(model.attention_scores(IMAGES))
    assert held.shape == (2, 6, 6)


# Training.


@kinds
def test_every_weight_has_a_gradient(overrides):
    model = made(**overrides)
    check_every_weight_has_a_gradient(model, IMAGES)


def test_one_compiled_step_moves_every_weight():
    model = made(
        tokenizer="convolution",
        pooling="attention",
        dropout=0.2,
        attention_dropout=0.2,
        stochastic_depth=0.1,
    )
    check_one_compiled_step_moves_every_weight(model, IMAGES)


@pytest.mark.parametrize(
    "name", ["dropout", "attention_dropout", "stochastic_depth"]
)
def test_dropout_in_training_only(name):
    model = made(**{name: 0.5})
    check_chance_in_training_only(model, IMAGES)


@kinds
@pytest.mark.parametrize(
    "policy, tolerance",
    [("mixed_bfloat16", 0.5), ("mixed_float16", 0.05), ("float64", 1e-4)],
)
def test_precision(overrides, policy, tolerance):
    if policy == "float64" and BACKEND != "tensorflow":
        pytest.skip("Keras makes float32 of float64 on this backend")
    model = made(**overrides, dtype=policy)
    outputs = model(IMAGES)
    wide = "float64" if policy == "float64" else "float32"
    if model.head is not None:
        assert dtype_of(outputs) == wide
    else:
        assert dtype_of(outputs) == model.compute_dtype
    exact = made(**overrides)(IMAGES)
    assert_allclose(array(outputs, "float64"), exact, atol=tolerance)
    for scores in model.attention_scores(IMAGES).values():
        assert dtype_of(scores) == wide
    assert dtype_of(model.rollout(IMAGES)) == wide


# Bad input.


@pytest.mark.parametrize(
    "overrides, message",
    [
        (
            {"tokenizer": "words"},
            "one of patch, shifted_patch, convolution. Received: tokenizer=",
        ),
        ({"position": "none"}, "learned, sinusoidal. Received: position=none"),
        ({"pooling": "max"}, "mean, attention. Received: pooling=max"),
        (
            {"tokenizer": "convolution", "patch_size": 6},
            "must be 2, 4, 8, .* Received: patch_size=6",
        ),
        (
            {"tokenizer": "convolution", "patch_size": 1},
            "must be 2, 4, 8, .* Received: patch_size=1",
        ),
        ({"tokenizer": "shifted_patch", "patch_size": 1}, "patch_size=1"),
        ({"patch_size": 0}, "Received: patch_size=0"),
        ({"patch_size": 5}, r"patch_size=5, image_shape=\(8, 12, 2\)"),
        ({"num_heads": 5}, "Received: num_heads=5, hidden_dim=12"),
    ],
)
def test_wrong_arguments(overrides, message):
    with pytest.raises(ValueError, match=message):
        made(**overrides)


def test_wrong_pictures():
    model = made()
    with pytest.raises(ValueError, match="must be multiples"):
        model(IMAGES[:, :7])
    with pytest.raises(
        ValueError, match=r"have 2 channels\. Received: images\.shape="
    ):
        model(np.zeros((2, 8, 12, 3), "float32"))

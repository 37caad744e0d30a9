import keras
import numpy as np
import pytest

from tests.layers.running import array
from tests.layers.running import assert_allclose
from tests.layers.running import assert_array_equal
from tests.layers.running import dtype_of
from tests.layers.running import JIT_COMPILE
from zoo.masked_language_model import MaskedLanguageModel
from zoo.transformer_classifier import TransformerClassifier

TOKENS = np.array([[2, 5, 6, 3, 0, 0, 0], [2, 4, 5, 6, 7, 8, 3]], "int32")
POSITIONS = np.array([[1, 2], [6, 3]], "int32")
INPUTS = {"tokens": TOKENS, "positions": POSITIONS}


def made(seed=0, **overrides):
    sizes = {
        "vocabulary_size": 17,
        "num_classes": 5,
        "num_layers": 1,
        "num_heads": 3,
        "hidden_dim": 12,
        "intermediate_dim": 20,
        "max_sequence_length": 9,
    }
    model = MaskedLanguageModel(TransformerClassifier(**{**sizes, **overrides}))
    model.build()
    draw = np.random.default_rng(seed).normal
    for weight in model.trainable_variables:
        weight.assign(draw(scale=0.4, size=weight.shape))
    return model


def logits_of(model):
    """Of all places, by NumPy. Against transformers: test_pretrained.py."""
    x = array(model.classifier.encode({"tokens": TOKENS}), "float64")
    kernel, bias = map(array, model.transform.weights)
    x = array(keras.activations.gelu((x @ kernel + bias).astype("float32")))
    x = x - x.mean(axis=-1, keepdims=True)
    x = x / np.sqrt(x.var(axis=-1, keepdims=True) + 1e-6)
    x = x * array(model.normalization.gamma) + array(model.normalization.beta)
    table = array(model.classifier.token_embedding.embeddings)
    return x @ table.T + array(model.output_bias)


def test_logits():
    model = made()
    expected = logits_of(model)
    logits = model({"tokens": TOKENS})
    assert logits.shape == (2, 7, 17)
    assert dtype_of(logits) == "float32"
    assert_allclose(logits, expected, atol=2e-5)
    logits = model(INPUTS)
    assert logits.shape == (2, 2, 17)
    for row in range(2):
        assert_allclose(logits[row], expected[row, POSITIONS[row]], atol=2e-5)


def test_attention_is_that_of_the_classifier():
    model = made()
    scores = model.attention_scores(INPUTS)
    assert list(scores) == ["encoder/0/self"]
    assert_array_equal(
        scores["encoder/0/self"],
        model.classifier.attention_scores(INPUTS)["encoder/0/self"],
    )


def test_what_is_learned_is_learned_by_the_classifier():
    model = made(dropout=0.1)
    classifier = model.classifier
    before = {weight.path: array(weight).copy() for weight in model.weights}
    model.compile(
        keras.optimizers.Adam(0.01),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=JIT_COMPILE,
    )
    labels = np.array([[7, 8], [9, 10]])
    losses = model.fit(INPUTS, labels, epochs=30, verbose=0).history["loss"]
    assert losses[-1] < 0.5 * losses[0]
    for weight in classifier.encoder.trainable_variables:
        if not weight.path.endswith("key_bias"):
            change = np.abs(array(weight) - before[weight.path]).max()
            assert change > 1e-4, weight.path
    # Its own head took no part.
    kernel = classifier.head.kernel
    assert_array_equal(kernel, before[kernel.path])
    assert classifier({"tokens": TOKENS}).shape == (2, 5)


def test_few_parameters_of_its_own():
    model = made()
    own = model.count_params() - model.classifier.count_params()
    assert own == 12 * 12 + 12 + 2 * 12 + 17


def test_saved(tmp_path):
    model = made(pooling="attention", dropout=0.1)
    config = model.get_config()
    assert config["classifier"]["config"]["pooling"] == "attention"
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    assert type(loaded) is MaskedLanguageModel
    assert_array_equal(loaded(INPUTS), model(INPUTS))
    assert_array_equal(
        loaded.classifier({"tokens": TOKENS}),
        model.classifier({"tokens": TOKENS}),
    )


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_precision(policy):
    model = made(dtype=policy)
    assert model.dtype_policy.name == policy
    logits = model(INPUTS)
    assert dtype_of(logits) == "float32"
    tolerance = 0.3 if policy == "mixed_bfloat16" else 0.03
    assert_allclose(logits, made()(INPUTS), atol=tolerance)

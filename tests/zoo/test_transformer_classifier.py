import keras
import numpy as np
import pytest
from keras import ops

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
from zoo.transformer_classifier import TransformerClassifier

# Row 0 is padded; 2 is the token whose state stands for the text.
TOKENS = np.array([[2, 5, 6, 3, 0, 0, 0], [2, 4, 5, 6, 7, 8, 3]], "int32")
SEGMENTS = np.array([[0, 0, 1, 1, 0, 0, 0], [0, 0, 0, 0, 1, 1, 1]], "int32")
INPUTS = {"tokens": TOKENS}

kinds = pytest.mark.parametrize(
    "overrides",
    [
        {"pooling": "class_token"},
        {"pooling": "mean", "num_segments": 2, "pooler": True},
        {"pooling": "attention", "num_classes": None},
        {"normalize_first": False, "activation": "relu"},
    ],
    ids=lambda overrides: "-".join(map(str, overrides.values())),
)


def made(seed=0, **overrides):
    """A small model whose weights all matter, and whose sizes all differ."""
    sizes = {
        "vocabulary_size": 17,
        "num_classes": 5,
        "num_layers": 2,
        "num_heads": 3,
        "hidden_dim": 12,
        "intermediate_dim": 20,
        "max_sequence_length": 9,
    }
    model = TransformerClassifier(**{**sizes, **overrides})
    model.build()
    draw_weights(model, seed)
    return model


# What it computes.


def normalized(x, layer):
    x = x - x.mean(axis=-1, keepdims=True)
    x = x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + layer.epsilon)
    return x * array(layer.gamma) + array(layer.beta)


def softmax(x):
    x = np.exp(x - x.max(axis=-1, keepdims=True))
    return x / x.sum(axis=-1, keepdims=True)


def gelu(x):
    from math import erf

    return x * (1 + np.vectorize(erf)(x / np.sqrt(2))) / 2


def dense(x, kernel, bias):
    return x @ array(kernel) + array(bias)


def attend(x, layer):
    """Of one text without padding: `(T, D)`."""
    heads = []
    query, key, value = (
        dense(x, getattr(layer, f"{p}_kernel"), getattr(layer, f"{p}_bias"))
        for p in ("query", "key", "value")
    )
    for head in range(3):
        part = slice(4 * head, 4 * head + 4)
        weights = softmax(query[:, part] @ key[:, part].T / 2)
        heads.append(weights @ value[:, part])
    return dense(
        np.concatenate(heads, axis=-1), layer.output_kernel, layer.output_bias
    )


def feed(x, layer, activation):
    hidden = activation(dense(x, *layer.hidden_projection.weights))
    return dense(hidden, *layer.output_projection.weights)


def states_of(model, tokens, segments):
    """The last states of one text, by NumPy in float64."""
    x = array(model.token_embedding.embeddings, "float64")[tokens]
    x = x + array(model.position_embedding.embeddings)[: len(tokens)]
    if model.num_segments:
        x = x + array(model.segment_embedding.embeddings)[segments]
    activation = gelu
    if model.activation == "relu":
        activation = lambda x: np.maximum(x, 0)  # noqa: E731
    if not model.normalize_first:
        x = normalized(x, model.embedding_normalization)
    for block in model.encoder.blocks:
        first, second = (
            block.attention_normalization,
            block.feed_forward_normalization,
        )
        if model.normalize_first:
            x = x + attend(normalized(x, first), block.attention)
            x = x + feed(normalized(x, second), block.feed_forward, activation)
        else:
            x = normalized(x + attend(x, block.attention), first)
            x = x + feed(x, block.feed_forward, activation)
            x = normalized(x, second)
    if model.normalize_first:
        x = normalized(x, model.encoder.normalization)
    return x


def outputs_of(model, inputs):
    outputs = []
    segments = inputs.get("segments", np.zeros_like(inputs["tokens"]))
    for tokens, parts in zip(inputs["tokens"], segments):
        length = np.count_nonzero(tokens)
        states = states_of(model, tokens[:length], parts[:length])
        if model.pooling == "class_token":
            x = states[0]
        elif model.pooling == "mean":
            x = states.mean(axis=0)
        else:
            kernel = array(model.attention_pooling.query_kernel)[:, 0]
            x = softmax(states @ kernel) @ states
        if model.pooler:
            x = np.tanh(dense(x, *model.pooler_dense.weights))
        if model.head is not None:
            x = dense(x, *model.head.weights)
        outputs.append(x)
    return np.array(outputs)


@kinds
def test_equals_numpy_and_is_saved(overrides, tmp_path):
    model = made(**overrides)
    inputs = dict(INPUTS)
    if model.num_segments:
        inputs["segments"] = SEGMENTS
    outputs = model(inputs)
    assert outputs.shape == (2, 12 if model.head is None else 5)
    assert dtype_of(outputs) == "float32"
    assert_allclose(outputs, outputs_of(model, inputs), atol=2e-5)
    assert_allclose(model(INPUTS), outputs_of(model, INPUTS), atol=2e-5)
    # As a file.
    config = model.get_config()
    for name, value in overrides.items():
        assert config[name] == value
    assert TransformerClassifier.from_config(config).get_config() == config
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    assert type(loaded) is TransformerClassifier
    assert_array_equal(loaded(inputs), outputs)
    names = list(model.attention_scores(inputs))
    assert list(loaded.attention_scores(inputs)) == names


def test_in_graphs():
    model = made(pooling="attention")
    signature = [keras.Input((None,), dtype="int32")]
    for run in graphs(lambda tokens: model({"tokens": tokens}), signature):
        assert_allclose(run(TOKENS), outputs_of(model, INPUTS), atol=2e-5)


def test_padding_and_neighbours_change_nothing():
    for pooling in ("class_token", "mean", "attention"):
        model = made(pooling=pooling)
        expected = model(INPUTS)
        wide = np.pad(TOKENS, [(0, 0), (0, 2)])
        assert_allclose(model({"tokens": wide}), expected, atol=1e-5)
        alone = model({"tokens": TOKENS[:1, :4]})
        assert_allclose(alone, expected[:1], atol=1e-5)


def test_a_text_without_tokens():
    tokens = np.concatenate([TOKENS, np.zeros((1, 7), "int32")])
    for pooling in ("class_token", "mean", "attention"):
        model = made(pooling=pooling)
        outputs = array(model({"tokens": tokens}))
        assert np.isfinite(outputs).all()
        assert_allclose(outputs[:2], model(INPUTS), atol=1e-5)
    vectors = array(model.sentence_embeddings({"tokens": tokens}))
    assert_array_equal(vectors[2], np.zeros(12))


def test_sentence_embeddings():
    model = TransformerClassifier(17, None, hidden_dim=12)
    # Before the model was ever called.
    vectors = array(model.sentence_embeddings(INPUTS))
    model = made(pooling="class_token", pooler=True)
    vectors = array(model.sentence_embeddings(INPUTS))
    for row, length in enumerate((4, 7)):
        mean = states_of(model, TOKENS[row, :length], None).mean(axis=0)
        assert_allclose(vectors[row], mean / np.linalg.norm(mean), atol=1e-5)


def test_sentence_embeddings_of_other_kinds():
    model = made(embedding_pooling="class_token", normalize_embeddings=False)
    first = states_of(model, TOKENS[0, :4], None)[0]
    assert_allclose(model.sentence_embeddings(INPUTS)[0], first, atol=1e-5)
    with pytest.raises(ValueError, match="Received: embedding_pooling=max"):
        made(embedding_pooling="max")


# Its attention.


def test_attention_scores():
    model = made(pooling="attention")
    scores = model.attention_scores(INPUTS)
    assert list(scores) == ["encoder/0/self", "encoder/1/self", "pooling"]
    real = TOKENS != 0
    for place in range(2):
        found = array(scores[f"encoder/{place}/self"])
        assert found.shape == (2, 3, 7, 7)
        pairs = real[:, None, :, None] & real[:, None, None, :]
        assert_array_equal(found > 0, np.broadcast_to(pairs, found.shape))
        assert_allclose(
            found.sum(axis=-1),
            np.broadcast_to(real[:, None], (2, 3, 7)),
            atol=1e-6,
        )
    found = array(scores["pooling"])
    assert found.shape == (2, 1, 1, 7)
    assert_array_equal(found[:, 0, 0] > 0, real)
    # Another model of this class has layers of the same names.
    names = ["encoder/1/self"]
    again = made(pooling="mean").attention_scores(INPUTS, layers=names)
    assert list(again) == names


# Training.


def test_every_weight_has_a_gradient():
    for overrides in (
        {"pooling": "attention", "num_segments": 2},
        {"pooling": "class_token", "pooler": True, "normalize_first": False},
    ):
        model = made(**overrides)
        inputs = {**INPUTS, "segments": SEGMENTS}
        if not model.num_segments:
            inputs = INPUTS
        check_every_weight_has_a_gradient(model, inputs)


def test_one_compiled_step_moves_every_weight():
    model = made(dropout=0.2, attention_dropout=0.2, stochastic_depth=0.1)
    check_one_compiled_step_moves_every_weight(model, INPUTS)


@pytest.mark.parametrize(
    "name",
    ["dropout", "attention_dropout", "token_dropout", "stochastic_depth"],
)
def test_dropout_in_training_only(name):
    model = made(**{name: 0.5})
    check_chance_in_training_only(model, INPUTS)


def test_tokens_left_out_in_training():
    model = made(token_dropout=0.4, pooling="mean")
    # Which tokens are left out can only be one of the subsets.
    texts = {"tokens": np.tile(TOKENS[:1, :4], (2000, 1))}
    subsets = np.array(
        [[True, *map(bool, bits)] for bits in np.ndindex(2, 2, 2)]
    )
    expected = array(model({"tokens": texts["tokens"][:8]}, token_mask=subsets))
    found = array(model(texts, training=True))
    distances = np.abs(found[:, None] - expected).max(axis=-1)
    assert_allclose(distances.min(axis=1), np.zeros(2000), atol=1e-5)
    drawn = subsets[distances.argmin(axis=1)]
    assert_allclose(drawn[:, 1:].mean(axis=0), [0.6] * 3, atol=0.05)
    # A token that the caller leaves out stays out.
    mask = np.ones((2000, 4), bool)
    mask[:, 2] = False
    found = array(model(texts, token_mask=mask, training=True))
    distances = np.abs(found[:, None] - expected[~subsets[:, 2]]).max(axis=-1)
    assert_allclose(distances.min(axis=1), np.zeros(2000), atol=1e-5)
    # The states of all tokens, which pretraining uses, are left alone.
    assert_allclose(model.encode(INPUTS, training=True), model.encode(INPUTS))


def test_depth_is_dropped_more_the_deeper():
    model = made(num_layers=4, stochastic_depth=0.2)
    rates = [block.stochastic_depth for block in model.encoder.blocks]
    np.testing.assert_allclose(rates, [0.05, 0.1, 0.15, 0.2])


@pytest.mark.parametrize(
    "policy, tolerance",
    [("mixed_bfloat16", 0.3), ("mixed_float16", 0.03), ("float64", 1e-10)],
)
def test_precision(policy, tolerance):
    if policy == "float64" and BACKEND != "tensorflow":
        pytest.skip("Keras makes float32 of float64 on this backend")
    model = made(dtype=policy, pooling="attention")
    outputs = model(INPUTS)
    wide = "float64" if policy == "float64" else "float32"
    assert dtype_of(outputs) == wide
    assert_allclose(outputs, outputs_of(model, INPUTS), atol=tolerance)
    for scores in model.attention_scores(INPUTS).values():
        assert dtype_of(scores) == wide
        assert_allclose(array(scores).sum(axis=-1).max(), 1, atol=1e-5)


# Bad input.


@pytest.mark.parametrize(
    "overrides, message",
    [
        (
            {"pooling": "max"},
            "one of class_token, mean, attention. Received: pooling=max",
        ),
        ({"num_heads": 5}, "Received: num_heads=5, hidden_dim=12"),
        ({"num_heads": 0}, "Received: num_heads=0, hidden_dim=12"),
        ({"num_layers": 0}, "Received: num_layers=0"),
        ({"token_dropout": 1.0}, "below 1. Received: token_dropout=1.0"),
        ({"max_sequence_length": 0}, "Received: max_length=0"),
        ({"activation": "gelou"}, "gelou"),
    ],
)
def test_wrong_arguments(overrides, message):
    with pytest.raises(ValueError, match=message):
        made(**overrides)


def test_wrong_inputs():
    model = made()
    with pytest.raises(ValueError, match=r"Received: num_segments=0, inputs"):
        model({**INPUTS, "segments": SEGMENTS})
    with pytest.raises(ValueError, match=r"max_length=9, .*length=10"):
        model({"tokens": ops.ones((2, 10), "int32")})

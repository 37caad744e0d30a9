"""What the graph of a text classifier gives, by NumPy from the model."""

import numpy as np
import pytest
import tensorflow as tf

from serving import classifier_graph
from serving.text_classifier_graph import TextClassifierGraph
from serving.text_encoder_graph import TextEncoderGraph
from tests.serving.classifier_runs import TEXT_CLASSES
from tests.serving.classifier_runs import text_model

TEXTS = ["a fine film", "", "music ,  nobody knows", "a b c d e f g h " * 9]
TOKENS = [
    ["[START]", "▁a", "▁fine", "▁film", "[END]"],
    ["[START]", "[END]"],
    ["[START]", "▁music", "▁,", "▁nobody", "▁knows", "[END]"],
    # 16 tokens at most.
    ["[START]", *[f"▁{letter}" for letter in "abcdefghabcdef"], "[END]"],
]
POOLINGS = ("attention", "class_token", "mean")


@pytest.fixture(scope="module", params=POOLINGS)
def graph(request):
    return TextClassifierGraph(*text_model(pooling=request.param))


def explain(graph, texts):
    answer = graph.explain(tf.constant(texts, tf.string))
    return {name: tensor.numpy() for name, tensor in answer.items()}


def inputs_of(graph, text):
    """One text, without padding."""
    ids = graph.preprocessor.encode(tf.constant([text])).to_tensor()
    return {"tokens": ids}


def softmax(logits):
    powers = np.exp(np.asarray(logits, np.float64))
    return powers / powers.sum(axis=-1, keepdims=True)


def test_labels_and_probabilities(graph):
    default = graph.serving_default(tf.constant(TEXTS))
    explained = explain(graph, TEXTS)
    for row, text in enumerate(TEXTS):
        expected = softmax(graph.model(inputs_of(graph, text)))[0]
        label = TEXT_CLASSES[expected.argmax()].encode()
        for answer in (default, explained):
            found = np.asarray(answer["probabilities"][row])
            np.testing.assert_allclose(found, expected, atol=1e-5)
            assert answer["label"][row] == label
    assert set(default) == {"label", "probabilities"}
    # The weights are drawn so that texts differ.
    assert np.ptp(explained["probabilities"], axis=0).max() > 0.01


def test_tokens(graph):
    answer = explain(graph, TEXTS)
    assert answer["tokens"].shape == (4, 16)
    for row, tokens in enumerate(TOKENS):
        found = [token.decode() for token in answer["tokens"][row]]
        assert found == tokens + [""] * (16 - len(tokens))
    assert answer["truncated"].tolist() == [False, False, False, True]


def test_attention_is_that_of_the_model(graph):
    answer = explain(graph, TEXTS)
    assert answer["attention"].shape == (4, 2, 3, 16, 16)
    for row, (text, tokens) in enumerate(zip(TEXTS, TOKENS)):
        found = answer["attention"][row]
        scores = graph.model.attention_scores(inputs_of(graph, text))
        length = len(tokens)
        for layer in range(2):
            np.testing.assert_allclose(
                found[layer, :, :length, :length],
                scores[f"encoder/{layer}/self"][0],
                atol=1e-5,
            )
        np.testing.assert_allclose(found[:, :, :length].sum(-1), 1, atol=1e-5)
        assert not found[:, :, length:].any()
        assert not found[:, :, :, length:].any()


def test_pooling_attention(graph):
    answer = explain(graph, TEXTS)
    pooling = graph.model.pooling
    if pooling == "mean":
        assert "pooling_attention" not in answer
        return
    for row, (text, tokens) in enumerate(zip(TEXTS, TOKENS)):
        inputs = inputs_of(graph, text)
        if pooling == "attention":
            kernel = np.asarray(graph.model.attention_pooling.query_kernel)
            states = np.asarray(graph.model.encode(inputs))[0]
            expected = softmax((states @ kernel)[:, 0])
        else:
            last = graph.model.attention_scores(inputs)["encoder/1/self"]
            expected = np.asarray(last)[0, :, 0].mean(axis=0)
        found = answer["pooling_attention"][row]
        np.testing.assert_allclose(found[: len(tokens)], expected, atol=1e-5)
        assert not found[len(tokens) :].any()


def test_embeddings(graph):
    vectors = graph.encoder.embed(tf.constant(TEXTS))["embeddings"].numpy()
    assert vectors.dtype == np.float32
    for text, vector in zip(TEXTS, vectors):
        states = np.asarray(graph.model.encode(inputs_of(graph, text)))[0]
        mean = states.astype(np.float64).mean(axis=0)
        expected = mean / np.linalg.norm(mean)
        np.testing.assert_allclose(vector, expected, atol=1e-5)


def test_a_batch_without_rows(graph):
    answer = explain(graph, [])
    shapes = {name: values.shape for name, values in answer.items()}
    weights = shapes.pop("pooling_attention", (0, 1))
    assert weights == (0, 1)
    assert shapes == {
        "label": (0,),
        "probabilities": (0, 3),
        "tokens": (0, 1),
        "attention": (0, 2, 3, 1, 1),
        "truncated": (0,),
    }
    nothing = tf.constant([], tf.string)
    assert graph.serving_default(nothing)["label"].shape == (0,)
    assert graph.encoder.embed(nothing)["embeddings"].shape == (0, 12)


HOSTILE = {
    "empty": b"",
    "blanks": b" \t\n ",
    "long": b"fine film " * 10_000,
    "one long word": b"x" * 100_000,
    "NUL": b"\0",
    "NUL inside": b"a\0fine film",
    "invalid": b"\xff\xfe\xc3",
    "names of tokens": b"[START] [END] [UNK]",
    "emoji": "👩\u200d👧 🇫🇷".encode(),
}


# How many tokens these are, the tokenizer decides.
DEPENDS = ("one long word", "names of tokens", "emoji")


@pytest.mark.parametrize("tokenizer", ["word", "subword"])
def test_hostile_texts_have_answers_and_disturb_no_other(tokenizer):
    graph = TextClassifierGraph(*text_model(tokenizer=tokenizer))
    alone = explain(graph, TEXTS[:2])
    for name, text in HOSTILE.items():
        answer = explain(graph, [TEXTS[0], text, TEXTS[1]])
        assert answer["label"][1].decode() in TEXT_CLASSES, name
        assert answer["probabilities"][1].sum() == pytest.approx(1, abs=1e-5)
        if name not in DEPENDS:
            assert answer["truncated"][1] == (name == "long"), name
        others = {output: values[::2] for output, values in answer.items()}
        assert not others["truncated"].any()
        assert others["label"].tolist() == alone["label"].tolist()
        np.testing.assert_allclose(
            others["probabilities"], alone["probabilities"], atol=1e-5
        )
        length = alone["tokens"].shape[1]
        assert others["tokens"][:, :length].tolist() == alone["tokens"].tolist()
        np.testing.assert_allclose(
            others["attention"][..., :length, :length],
            alone["attention"],
            atol=1e-5,
        )


def test_a_text_of_the_limit_is_not_cut(graph):
    answer = explain(graph, ["a " * 14, "a " * 15])
    assert answer["truncated"].tolist() == [False, True]
    assert np.all(answer["tokens"] != b"")


def test_blanks_are_as_good_as_nothing(graph):
    answer = explain(graph, [b"", b"  ", b"\0"])
    assert answer["tokens"].tolist() == [[b"[START]", b"[END]"]] * 3
    np.testing.assert_array_equal(
        answer["probabilities"], answer["probabilities"][[0, 0, 0]]
    )


def test_large_models_show_what_fits(monkeypatch):
    model, preprocessor = text_model()
    everything = explain(TextClassifierGraph(model, preprocessor), TEXTS)
    # The other outputs have 4 * (3 + 16) bytes, a head has 1,024.
    for most_bytes, layers, heads in (
        (76 + 5 * 1024, [1], [0, 1, 2]),
        (76 + 3 * 1024 - 1, [1], [0, 2]),
        (76, [1], [2]),
    ):
        monkeypatch.setattr(classifier_graph, "MOST_BYTES", most_bytes)
        graph = TextClassifierGraph(model, preprocessor)
        answer = explain(graph, TEXTS)
        np.testing.assert_array_equal(
            answer["attention"], everything["attention"][:, layers][:, :, heads]
        )
        described = graph.describe()
        assert described["attention_layers"]["attention"] == ["encoder/1/self"]
        assert described["attention_heads"] == {"attention": heads}
        num_bytes = 76 + 1024 * len(heads)
        assert described["longest_answer_bytes"] == {"explain": num_bytes}


def test_an_answer_passes_through_grpc():
    """The longest text in a model with the heads of BERT-base."""
    graph = TextClassifierGraph(
        *text_model(
            max_sequence_length=512,
            num_layers=1,
            num_heads=12,
            intermediate_dim=4,
        )
    )
    answer = explain(graph, ["so many words " * 1000])
    assert answer["attention"].shape == (1, 1, 3, 512, 512)
    num_bytes = sum(
        tf.make_tensor_proto(values).ByteSize() + len(name) + 20
        for name, values in answer.items()
    )
    assert 3_000_000 < num_bytes < 4 * 2**20


def test_without_a_head_there_are_embeddings_alone():
    model, preprocessor = text_model(num_classes=None, pooling="mean")
    graph = TextEncoderGraph(model, preprocessor)
    assert graph.signatures() == {"serving_default": graph.embed}
    vectors = graph.embed(tf.constant(TEXTS))["embeddings"].numpy()
    for text, vector in zip(TEXTS, vectors):
        # Without a head the model gives the mean itself.
        mean = np.asarray(model(inputs_of(graph, text)))[0]
        np.testing.assert_allclose(
            vector, mean / np.linalg.norm(mean), atol=1e-5
        )


def test_half_precision_is_exported_as_float32():
    import keras

    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model, preprocessor = text_model()
    finally:
        keras.config.set_dtype_policy("float32")
    graph = TextClassifierGraph(model, preprocessor)
    answer = explain(graph, TEXTS)
    assert answer["probabilities"].dtype == np.float32
    assert answer["attention"].dtype == np.float32
    assert answer["pooling_attention"].dtype == np.float32
    embedded = graph.encoder.embed(tf.constant(TEXTS))["embeddings"]
    assert embedded.dtype == tf.float32

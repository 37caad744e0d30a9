"""The signatures of both translators, with weights of chance."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import serving
import zoo
from preprocessing import ImagePreprocessor
from preprocessing import TranslationPreprocessor
from serving import translator_graph
from serving.export import check_ops
from serving.graphs import make_graph
from serving.graphs import save_graph
from serving.translator_graph import TranslatorGraph
from tests.zoo.conftest import draw_weights
from training.configuration import ConfigurationError
from zoo import Decoding

SOURCES = ["a b c d", "b b", "d c a b c a", "e f g h"]
TARGETS = ["x y", "y y z", "z x w v", "u t s"]
TEXTS = ["a b c", "", "d", "q q q q", "c b a d c b a"]
SIZES = {
    "bahdanau": {"embedding_dim": 4, "hidden_dim": 6},
    "transformer": {
        "num_layers": 2,
        "num_heads": 3,
        "hidden_dim": 12,
        "intermediate_dim": 8,
        "share_embeddings": False,
    },
}


@pytest.fixture(scope="module")
def preprocessor():
    return TranslationPreprocessor.train(SOURCES, TARGETS)


@pytest.fixture(scope="module", params=["bahdanau", "transformer"])
def model(request, preprocessor):
    source = preprocessor.source_tokenizer.vocabulary_size
    target = preprocessor.target_tokenizer.vocabulary_size
    keras.utils.set_random_seed(0)
    model = zoo.create_model(
        f"{request.param}_translator_tiny",
        source_vocabulary_size=source,
        target_vocabulary_size=target,
        **SIZES[request.param],
    )
    ids = np.zeros((1, 2), "int32")
    model({"source": ids, "target": ids})
    draw_weights(model, 3)
    return model


@pytest.fixture(scope="module")
def loaded(model, preprocessor, tmp_path_factory):
    path = tmp_path_factory.mktemp("model")
    beam = Decoding("beam", 3, length_penalty=0.6)
    graph = TranslatorGraph(model, preprocessor, beam, beam_attention=True)
    save_graph(graph, path)
    check_ops(path)
    return serving.load(path)


def answer_of(loaded, name, texts=TEXTS):
    answer = loaded._signatures[name](text=tf.constant(texts, tf.string))
    return {name: tensor.numpy() for name, tensor in answer.items()}


def test_beam_is_that_of_the_model(loaded, model, preprocessor):
    answer = answer_of(loaded, "beam")
    ids = preprocessor.encode_source(tf.constant(TEXTS)).to_tensor()
    found = model.hypotheses(ids, decoding=Decoding("beam", 3, 0.6))
    for place in range(3):
        texts = preprocessor.decode_target(found.tokens[:, place]).numpy()
        assert answer["translations"][:, place].tolist() == texts.tolist()
    for name in ("scores", "log_probabilities"):
        np.testing.assert_allclose(
            answer[name], getattr(found, name), rtol=1e-4
        )


def test_attention_of_hypotheses(loaded, model, preprocessor):
    answer, explained = (answer_of(loaded, x) for x in ("beam", "explain"))
    assert (answer["source_tokens"] == explained["source_tokens"]).all()
    shape = answer["attention"].shape
    assert answer["target_tokens"].shape == (5, 3, shape[4])
    assert shape[:2] + shape[5:] == (5, 3, explained["source_tokens"].shape[1])
    real = answer["target_tokens"] != b""
    sums = answer["attention"].sum(axis=-1)
    layers_and_heads = real[:, :, None, None, :]
    np.testing.assert_allclose(
        sums, np.broadcast_to(layers_and_heads, sums.shape), atol=1e-5
    )
    # It is that of the steps which wrote them.
    ids = preprocessor.encode_source(tf.constant(TEXTS)).to_tensor()
    tokens = model.hypotheses(ids, decoding=Decoding("beam", 3, 0.6)).tokens
    for place in range(3):
        written = tokens[:, place, : shape[4]]
        before = tf.pad(written[:, :-1], [[0, 0], [1, 0]], constant_values=2)
        scores = model.attention_scores({"source": ids, "target": before})
        cross = [scores[name] for name in scores if name.endswith("cross")]
        expected = np.stack(cross, axis=1)
        rows = real[:, place, None, None, :, None]
        np.testing.assert_allclose(
            answer["attention"][:, place],
            np.where(rows, expected, 0),
            atol=1e-5,
        )


def test_attention_of_all_kinds(loaded, model):
    answers = loaded.explain(TEXTS)
    for text, answer in zip(TEXTS, answers):
        source, target = len(answer.source_tokens), len(answer.tokens)
        if "bahdanau" in model.name:
            assert answer.attention.shape == (1, 1, target, source)
            assert answer.encoder_attention is None
            assert answer.decoder_attention is None
            continue
        for scores, rows, columns in (
            (answer.attention, target, source),
            (answer.encoder_attention, source, source),
            (answer.decoder_attention, target, target),
        ):
            assert scores.shape == (2, 3, rows, columns), text
            np.testing.assert_allclose(scores.sum(axis=-1), 1, atol=1e-5)
        # Nothing of what comes later.
        later = np.triu(np.ones((target, target), bool), 1)
        assert not answer.decoder_attention[..., later].any()


def test_hypotheses_in_python(loaded):
    answer = answer_of(loaded, "beam")
    for row, hypotheses in enumerate(loaded.beam(TEXTS)):
        assert [each.text.encode() for each in hypotheses] == list(
            answer["translations"][row]
        )
        assert [each.score for each in hypotheses] == sorted(
            (each.score for each in hypotheses), reverse=True
        )
        for each in hypotheses:
            assert each.log_probability <= each.score < 0
    assert loaded.beam([]) == []


@pytest.mark.parametrize("name", ["serving_default", "beam", "explain"])
def test_a_batch_without_rows(loaded, name):
    for output, values in answer_of(loaded, name, []).items():
        assert len(values) == 0, output


@pytest.mark.parametrize("name", ["serving_default", "beam", "explain"])
def test_alone_as_in_a_batch(loaded, name):
    together = answer_of(loaded, name)
    texts = {"translation", "translations"}
    for row, text in enumerate(TEXTS):
        alone = answer_of(loaded, name, [text])
        for output in texts & together.keys():
            assert np.array_equal(alone[output][0], together[output][row])
        for output in {"score", "scores"} & together.keys():
            np.testing.assert_allclose(
                alone[output][0], together[output][row], rtol=1e-4
            )


def test_the_card_says_how_the_beam_searches(model, preprocessor):
    graph = TranslatorGraph(
        model, preprocessor, Decoding("beam", 7, 0.9, no_repeat_ngram=3)
    )
    assert graph.describe()["beam"] == {
        "beam_width": 7,
        "length_penalty": 0.9,
        "patience": 1.0,
        "min_length": 0,
        "no_repeat_ngram": 3,
        "attention": False,
    }
    outputs = graph.beam.get_concrete_function().structured_outputs
    assert set(outputs) == {"translations", "scores", "log_probabilities"}
    assert outputs["translations"].shape.as_list() == [None, 7]


def test_large_translators_show_what_fits(model, preprocessor, monkeypatch):
    texts = tf.constant(TEXTS)
    everything = TranslatorGraph(model, preprocessor)
    answer = everything.explain(texts)
    # 64 tokens are read, and 2 * 64 + 16 written.
    largest = 4 * 144 * 144
    monkeypatch.setattr(translator_graph, "MOST_BYTES", 3 * largest)
    graph = TranslatorGraph(
        model, preprocessor, Decoding("beam", 3), beam_attention=True
    )
    card = graph.describe()
    num_bytes = card["longest_answer_bytes"]["explain"]
    assert num_bytes <= 3 * largest
    assert card["longest_answer_bytes"]["beam"] == 3 * num_bytes
    if "bahdanau" in model.name:
        assert card["attention_heads"] == {"attention": [0]}
        return
    assert card["attention_heads"] == {
        "attention": [0, 2],
        "encoder_attention": [0, 1, 2],
        "decoder_attention": [2],
    }
    before = everything.describe()["attention_layers"]
    assert card["attention_layers"] == {
        name: before[name][-1:] for name in before
    }
    for name, values in graph.explain(texts).items():
        expected = answer[name].numpy()
        if name in before:
            heads = card["attention_heads"][name]
            expected = expected[:, -1:][:, :, heads]
        np.testing.assert_array_equal(values, expected, name)


def test_only_translators_have_a_beam():
    preprocessor = ImagePreprocessor((8, 8), 1, [0.5], [0.5], ["a", "b"])
    with pytest.raises(ConfigurationError, match="Received: beam for a Model"):
        make_graph(keras.Model(), preprocessor, beam=Decoding("beam"))

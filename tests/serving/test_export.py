"""What is exported: signatures, ops, card, warm-up, versions."""

import json
import shutil

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

import serving
import zoo
from preprocessing import TranslationPreprocessor
from serving import attention_choice
from serving import export
from serving.export import check_ops
from serving.export import export_run
from serving.export import ExportError
from serving.graphs import save_graph
from serving.translator_graph import TranslatorGraph
from tests.serving.exported_models import in_a_session
from training.configuration import ConfigurationError
from training.run import Run

_TEXTS = ["March 5, 2021", "", "20 percent", "Thursday at noon"]


@pytest.fixture(scope="module")
def loaded(tiny_saved_model):
    return tf.saved_model.load(str(tiny_saved_model))


@pytest.fixture(scope="module")
def answer(loaded):
    explained = loaded.signatures["explain"](text=tf.constant(_TEXTS))
    return {name: tensor.numpy() for name, tensor in explained.items()}


def test_signatures_are_those_of_the_contract(loaded):
    expected = {
        "serving_default": {
            "translation": (tf.string, [None]),
            "score": (tf.float32, [None]),
        },
        "beam": {
            "translations": (tf.string, [None, 5]),
            "scores": (tf.float32, [None, 5]),
            "log_probabilities": (tf.float32, [None, 5]),
        },
        "explain": {
            "translation": (tf.string, [None]),
            "score": (tf.float32, [None]),
            "source_tokens": (tf.string, [None, None]),
            "target_tokens": (tf.string, [None, None]),
            "attention": (tf.float32, [None, 1, 1, None, None]),
            "truncated": (tf.bool, [None]),
        },
    }
    assert set(loaded.signatures) == set(expected)
    for name, outputs in expected.items():
        signature = loaded.signatures[name]
        (spec,) = signature.structured_input_signature[1].values()
        assert spec.name == "text"
        assert spec.dtype == tf.string
        assert spec.shape.as_list() == [None]
        found = signature.structured_outputs
        assert set(found) == set(outputs)
        for output, (dtype, shape) in outputs.items():
            assert found[output].dtype == dtype
            assert found[output].shape.rank == len(shape)
            for known, wanted in zip(found[output].shape, shape):
                assert known in (None, wanted)


def test_shapes_have_the_batch_first(answer):
    rows, target, source = (
        len(_TEXTS),
        answer["target_tokens"].shape[1],
        answer["source_tokens"].shape[1],
    )
    assert answer["translation"].shape == (rows,)
    assert answer["score"].shape == (rows,)
    assert answer["truncated"].shape == (rows,)
    assert answer["source_tokens"].shape[0] == rows
    assert answer["target_tokens"].shape[0] == rows
    assert answer["attention"].shape == (rows, 1, 1, target, source)


def test_both_signatures_give_the_same_text(loaded, answer):
    default = loaded.signatures["serving_default"](text=tf.constant(_TEXTS))
    assert default["translation"].numpy().tolist() == list(
        answer["translation"]
    )
    np.testing.assert_allclose(default["score"], answer["score"], rtol=1e-5)


def test_source_tokens_are_padded_with_nothing(answer):
    rows = [
        [token.decode() for token in row] for row in answer["source_tokens"]
    ]
    assert rows[0][:8] == ["▁March", "▁5", ",", *("▁2", "0", "2", "1"), "[END]"]
    assert rows[1] == ["[END]"] + [""] * (len(rows[1]) - 1)
    for row in rows:
        end = row.index("[END]")
        assert all(row[:end])
        assert not any(row[end + 1 :])


def test_rows_of_attention_sum_to_one_over_the_source(answer):
    source_is_real = answer["source_tokens"] != b""
    target_is_real = answer["target_tokens"] != b""
    assert source_is_real.sum(axis=1).min() == 1
    for row in range(len(_TEXTS)):
        scores = answer["attention"][row, 0, 0]
        np.testing.assert_allclose(
            scores[target_is_real[row]].sum(axis=-1), 1, rtol=1e-5
        )
        assert not scores[:, ~source_is_real[row]].any()
        assert not scores[~target_is_real[row]].any()


def test_translation_is_the_text_of_the_target_tokens(answer):
    for text, tokens in zip(answer["translation"], answer["target_tokens"]):
        written = b"".join(tokens).decode().replace("[END]", "")
        assert text.decode() == written.replace("▁", " ").strip()


def test_attention_rows_are_those_of_the_steps(tiny_run):
    """Row t is where the step that wrote target_tokens[t] looked, by
    decoding one step after the other."""
    run = Run(tiny_run)
    model, preprocessor = run.load_model(), run.load_preprocessor()
    text = ["March 5, 2021"]
    (answer,) = serving.load(tiny_run).explain(text)
    source = preprocessor.encode_source(tf.constant(text)).to_tensor()
    state = model.start(model.encode(source))
    vocabulary = preprocessor.target_tokenizer.vocabulary
    token, total = tf.constant([2]), 0.0  # START
    for index, written in enumerate(answer.tokens[:8]):
        embedded = model.target_embedding(token)
        prepared = model.decoder.prepare(embedded)
        query = model.decoder.query(
            state["states"][0], prepared[:, model.decoder.cell.input_dim :]
        )
        _, scores = model.decoder.attention.attend(
            query[:, None, :], state["memory"], return_attention_scores=True
        )
        np.testing.assert_allclose(
            answer.attention[0, 0, index], scores[0, 0, 0], atol=1e-5
        )
        logits, state = model.step(token, state)
        token = tf.constant([vocabulary.index(written)])
        total += tf.nn.log_softmax(logits)[0, token[0]].numpy()
    if len(answer.tokens) <= 8:
        assert answer.score == pytest.approx(total, rel=1e-4)


def test_no_op_needs_xla(tiny_saved_model):
    check_ops(tiny_saved_model)


@pytest.mark.parametrize("nested", [False, True])
def test_a_graph_that_needs_xla_is_refused(nested, tmp_path):
    module = tf.Module()
    compiled = tf.function(lambda x: 2.0 * x, jit_compile=True)
    inside = tf.function(lambda x: compiled(x) + 1.0) if nested else compiled
    module.run = tf.function(
        lambda x: inside(x), input_signature=[tf.TensorSpec([2])]
    )
    tf.saved_model.save(module, str(tmp_path))
    with pytest.raises(ExportError, match="_XlaMustCompile"):
        check_ops(tmp_path)


def test_an_xla_op_is_refused(tmp_path):
    from keras import ops

    module = tf.Module()
    module.run = tf.function(
        lambda x: ops.slice_update(x, [0], tf.ones(2)),
        input_signature=[tf.TensorSpec([4])],
    )
    tf.saved_model.save(module, str(tmp_path))
    with pytest.raises(ExportError, match="XlaDynamicUpdateSlice"):
        check_ops(tmp_path)


def test_warmup_requests_are_one_for_each_signature(tiny_run, tiny_saved_model):
    path = tiny_saved_model / "assets.extra" / "tf_serving_warmup_requests"
    found = {}
    for record in tf.data.TFRecordDataset(str(path)):
        log = prediction_log_pb2.PredictionLog.FromString(record.numpy())
        request = log.predict_log.request
        values = tf.make_ndarray(request.inputs["text"])
        assert list(request.inputs) == ["text"]
        found[request.model_spec.signature_name] = values.tolist()
    example = Run(tiny_run).metrics["example"].encode()
    assert example
    names = ("serving_default", "beam", "explain")
    assert found == {name: [example] for name in names}


def test_model_card(tiny_run, tiny_saved_model, answer):
    card = json.loads((tiny_saved_model / "model_card.json").read_text("utf-8"))
    run = Run(tiny_run)
    assert card["name"] == "tiny"
    assert card["preset"] == "bahdanau_translator_tiny"
    assert "1409.0473" in card["paper"]
    assert card["parameters"] == run.load_model().count_params()
    assert card["data"]["name"] == "phrases"
    assert card["data"]["licence"]
    assert card["metrics"]["validation"] == run.metrics["validation"]
    assert card["metrics"]["chosen"] == "epoch 3 by validation loss"
    assert card["metrics"]["test_runs"] == []
    assert card["command"] == run.metrics["command"]
    assert card["configuration"] == run.config
    assert card["max_sequence_length"] == 64
    assert card["attention_layers"] == {
        "attention": ["decoder/cross"],
        "encoder_attention": [],
        "decoder_attention": [],
    }
    assert set(card["signatures"]) == {"serving_default", "beam", "explain"}
    for signature in card["signatures"].values():
        assert signature["inputs"] == {"text": "string [None]"}
    assert set(card["signatures"]["explain"]["outputs"]) == set(answer)
    assert card["versions"]["tensorflow"] == tf.__version__
    assert set(card["versions"]) >= {"python", "keras", "tensorflow-text"}
    (example,) = serving.load(tiny_run).explain([run.metrics["example"]])
    least = example.attention.nbytes
    assert least < card["explain_bytes"]["bytes"] < least + 5_000


def test_nothing_of_the_machine_is_in_the_card(tiny_saved_model):
    text = (tiny_saved_model / "model_card.json").read_text("utf-8")
    assert str(tiny_saved_model) not in text
    assert "/home" not in text


@pytest.fixture(scope="module")
def traces():
    """The texts with which `explain` was traced to be exported."""
    return []


@pytest.fixture(scope="module")
def exported(tiny_run, tiny_saved_model, tmp_path_factory, traces):
    """A folder with two versions of one model."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    shutil.copytree(tiny_saved_model, folder / "1")
    explain = TranslatorGraph._explain

    def noted(self, text):
        traces.append(text)
        return explain(self, text)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(TranslatorGraph, "_explain", noted)
        assert export_run(Run(tiny_run), folder, "again") == folder / "2"
    return folder


def test_each_signature_is_traced_once(exported, traces):
    assert len(traces) == 1


def test_two_exports_are_two_versions(exported, tiny_saved_model):
    assert sorted(path.name for path in exported.iterdir()) == ["1", "2"]
    for name in ("saved_model.pb", "model_card.json"):
        before = (tiny_saved_model / name).read_bytes()
        assert (exported / "1" / name).read_bytes() == before
    card = json.loads((exported / "2" / "model_card.json").read_text("utf-8"))
    assert card["command"] == "again"


@pytest.mark.parametrize(
    "step", ["check_ops", "write_warmup_requests", "model_card"]
)
def test_a_failed_export_leaves_nothing(step, exported, tiny_run, monkeypatch):
    before = sorted(exported.rglob("*"))

    def save(graph, path, signatures):
        (tf.io.gfile.GFile(f"{path}/saved_model.pb", "w")).write("half")

    def fail(*arguments):
        raise ExportError("in the middle")

    monkeypatch.setattr(tf.saved_model, "save", save)
    for name in ("check_ops", "write_warmup_requests"):
        monkeypatch.setattr(export, name, lambda *arguments: None)
    monkeypatch.setattr(export, step, fail)
    with pytest.raises(ExportError, match="in the middle"):
        export_run(Run(tiny_run), exported)
    assert sorted(exported.rglob("*")) == before


def test_an_answer_that_is_too_large(exported, tiny_run, monkeypatch, capsys):
    export.check_sizes({"explain": 4_000_000})
    assert capsys.readouterr().err == ""
    export.check_sizes({"explain": 16_000_000})
    assert "`explain` may have 16.0 MB" in capsys.readouterr().err
    before = sorted(exported.rglob("*"))
    # A head of 64 tokens read and 144 written.
    monkeypatch.setattr(attention_choice, "_PROTOBUF_BYTES", 4 * 64 * 144 - 1)
    with pytest.raises(ExportError, match="36,864 bytes"):
        export_run(Run(tiny_run), exported)
    assert sorted(exported.rglob("*")) == before


def test_a_run_that_did_not_end_is_refused(tiny_run, tmp_path):
    shutil.copytree(tiny_run, tmp_path / "run")
    (tmp_path / "run" / "metrics.json").unlink()
    with pytest.raises(ConfigurationError, match="not fitted to the end"):
        export_run(Run.find(tmp_path / "run"), tmp_path / "models")
    assert not (tmp_path / "models").exists()


def test_loading_takes_the_newest_version(exported, monkeypatch):
    (exported / "10").mkdir()  # by number, not by spelling
    (exported / "10" / "saved_model.pb").touch()
    loaded = []

    class Signature:
        structured_input_signature = (), {"text": None}
        structured_outputs = {"translation": None}

    class Model:
        signatures = {"serving_default": Signature}

    def load(path):
        loaded.append(path)
        return Model()

    monkeypatch.setattr(tf.saved_model, "load", load)
    serving.load(exported)
    serving.load(str(exported / "2"))
    assert loaded == [str(exported / "10"), str(exported / "2")]
    shutil.rmtree(exported / "10")


def test_a_run_and_its_saved_model_give_the_same(tiny_run, exported, answer):
    run, saved = (
        serving.load(path).explain(_TEXTS) for path in (tiny_run, exported)
    )
    for left, right, text in zip(run, saved, answer["translation"]):
        assert left.text == right.text == text.decode()
        assert left.tokens == right.tokens
        assert left.score == pytest.approx(right.score, rel=1e-5)
        np.testing.assert_allclose(left.attention, right.attention, atol=1e-5)


@pytest.mark.parametrize("kind", ["missing", "empty", "file"])
def test_loading_nonsense_is_one_error(kind, tmp_path):
    path = tmp_path / "nonsense"
    if kind == "empty":
        path.mkdir()
    if kind == "file":
        path.write_text("no model")
    with pytest.raises(ConfigurationError, match="nonsense is no run"):
        serving.load(path)


@pytest.mark.parametrize(
    "attention",
    [
        *("scaled_dot", "none"),
        *(
            pytest.param(name, marks=pytest.mark.long)
            for name in ("multiplicative", "concat")
        ),
    ],
)
def test_other_attention(attention, tmp_path):
    preprocessor = TranslationPreprocessor.train(["a b c"], ["d e f"])
    model = zoo.create_model(
        "bahdanau_translator_tiny",
        source_vocabulary_size=7,
        target_vocabulary_size=7,
        embedding_dim=4,
        hidden_dim=6,
        attention=attention,
    )
    ids = tf.zeros((1, 2), tf.int32)
    model({"source": ids, "target": ids})
    graph = TranslatorGraph(model, preprocessor)
    save_graph(graph, tmp_path)
    check_ops(tmp_path)
    assert not any(in_a_session(tmp_path).values())
    found = graph.explain.get_concrete_function().structured_outputs
    assert ("attention" in found) == (attention != "none")
    for answer in serving.load(tmp_path).explain(["a b", "c"]):
        assert (answer.attention is None) == (attention == "none")
        assert len(answer.source_tokens) in (2, 3)


def test_answers_have_no_padding(loaded):
    translator = serving.Translator(loaded.signatures, loaded)
    assert translator.translate([]) == translator.explain([]) == []
    for answer in translator.explain(_TEXTS):
        layers, heads, target, source = answer.attention.shape
        assert (layers, heads) == (1, 1)
        assert target == len(answer.tokens)
        assert source == len(answer.source_tokens)
        assert all(answer.tokens)
        assert all(answer.source_tokens)
        assert answer.truncated is False
        assert isinstance(answer.score, float)
    texts = [answer.text for answer in translator.explain(_TEXTS)]
    assert translator.translate(_TEXTS) == texts

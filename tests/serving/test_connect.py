"""Models behind a server that speaks as TensorFlow Serving does."""

import concurrent.futures
import dataclasses
import http.server
import json
import socket
import threading

import grpc
import numpy as np
import pytest
from tensorflow_serving.apis import prediction_service_pb2_grpc

import serving
from serving.answers import placeholder
from serving.answers import probabilities_of
from serving.endpoint import parse_endpoint
from serving.grpc_connection import GrpcConnection
from serving.rest_connection import RestConnection
from tests.serving.classifier_runs import encoded
from tests.serving.classifier_runs import pixels
from training.configuration import ConfigurationError

PHRASES = "bahdanau_translator_tiny_phrases"
LANGUAGES = "transformer_classifier_tiny_language_id"
DIGITS = "vision_transformer_tiny_digits"
TEXTS = ["in 3 weeks", "", "Thursday, October 24, 2047", "10 月 24 日 \N{OWL}"]


@pytest.fixture(params=["grpc", "http"])
def scheme(request):
    return request.param


@pytest.fixture
def connect(server, scheme):
    """Connect to a model of the server."""

    def connect(name, **options):
        url = f"{scheme}://127.0.0.1:{server[scheme]}/{name}"
        return serving.connect(url, **options)

    return connect


def assert_same(found, expected):
    """Answers are equal but for the last digits of numbers."""
    assert type(found) is type(expected)
    if dataclasses.is_dataclass(expected):
        for field in dataclasses.fields(expected):
            name = field.name
            assert_same(getattr(found, name), getattr(expected, name))
    elif isinstance(expected, list | tuple):
        assert len(found) == len(expected)
        for one, other in zip(found, expected):
            assert_same(one, other)
    elif isinstance(expected, dict):
        assert list(found) == list(expected)
        assert_same(list(found.values()), list(expected.values()))
    elif isinstance(expected, float | np.ndarray):
        assert getattr(found, "dtype", None) == getattr(expected, "dtype", None)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    else:
        assert found == expected


@pytest.mark.parametrize("name", [PHRASES, "translator"])
def test_translators(connect, local_model, name):
    remote, local = connect(name), local_model(name)
    assert_same(remote.explain(TEXTS), local.explain(TEXTS))
    assert remote.translate(TEXTS) == local.translate(TEXTS)
    assert remote.translate([]) == remote.explain([]) == []


def test_more_rows_than_a_request_has(connect, local_model, monkeypatch):
    sizes = []
    for connection in (GrpcConnection, RestConnection):
        predict = connection.predict

        def counted(self, name, definition, arrays, predict=predict):
            sizes.append(len(arrays["text"]))
            return predict(self, name, definition, arrays)

        monkeypatch.setattr(connection, "predict", counted)
    # The widest answer is in the second of three requests.
    texts = ["in 3 weeks"] * 40 + [TEXTS[2]] + [""] * 29
    remote, local = connect(PHRASES), local_model(PHRASES)
    assert_same(remote.explain(texts), local.explain(texts))
    assert sizes == [32, 32, 6]


def test_beams(connect, local_model):
    texts = ["a b", "d"]
    found = connect("translator").beam(texts)
    assert_same(found, local_model("translator").beam(texts))


def test_classifiers_of_texts(connect, local_model, served_models):
    local = local_model(LANGUAGES)
    card = served_models[LANGUAGES] / "model_card.json"
    remote = connect(LANGUAGES, card=card)
    assert remote.class_names == local.class_names
    assert_same(remote.explain(TEXTS), local.explain(TEXTS))
    assert remote.classify(TEXTS) == local.classify(TEXTS)
    for method in ("probabilities", "embed"):
        for texts in (TEXTS, []):
            found = getattr(remote, method)(texts)
            assert_same(found, getattr(local, method)(texts))
    assert remote.classify([]) == remote.explain([]) == []


def test_classifiers_of_pictures(connect, local_model, served_models):
    local = local_model(DIGITS)
    card = served_models[DIGITS] / "model_card.json"
    remote = connect(DIGITS, card=card, version=1)
    images = [encoded(pixels(0, 20, 30)), b"no picture", pixels(1, 9, 9)]
    assert_same(remote.explain(images), local.explain(images))
    assert remote.classify(images) == local.classify(images)
    assert_same(remote.probabilities([]), local.probabilities([]))


def test_encoders(connect, local_model):
    local = local_model("encoder")
    remote = connect("encoder", label="stable")
    assert_same(remote.embed(["fine", "a b"]), local.embed(["fine", "a b"]))


def test_without_the_card_the_answer_has_its_name(connect):
    (answer,) = connect(LANGUAGES).explain(["jeudi 24 octobre"])
    assert answer.label == "fr"
    assert answer.probabilities["fr"] == answer.probability > 0.9
    assert "class 0" in answer.probabilities
    assert len(answer.probabilities) == 20


def test_a_card_of_another_model_is_refused(connect, served_models, tmp_path):
    card = served_models[DIGITS] / "model_card.json"
    with pytest.raises(ConfigurationError, match=r"20 classes.*another model"):
        connect(LANGUAGES, card=card)
    path = tmp_path / "card.json"
    path.write_text('{"name": "no classes"}')
    with pytest.raises(ConfigurationError, match=r"card\.json is no model"):
        connect(LANGUAGES, card=path)


def test_what_the_server_does_not_have(connect):
    with pytest.raises(serving.ServerError, match=r"Servable not found.*none"):
        connect("none")
    with pytest.raises(serving.ServerError, match=r"version 7.*not found"):
        connect(PHRASES, version=7)
    with pytest.raises(serving.ServerError, match=r"label next.*next"):
        connect(PHRASES, label="next")
    with pytest.raises(ConfigurationError, match=r"explain.*signature=beam"):
        connect(LANGUAGES)._signatures["beam"]


def test_an_answer_above_the_limit(connect):
    model = connect(DIGITS, max_megabytes=0.3)
    images = [encoded(pixels(0, 20, 30))]
    assert model.explain(images)
    # More of them come in several answers.
    assert len(model.explain(images * 32)) == 32
    model = connect(DIGITS, max_megabytes=0.01)
    with pytest.raises(serving.ServerError, match=r"larger than 0\.0"):
        model.explain(images)


def test_no_server(scheme):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"{scheme}://user:secret@127.0.0.1:{free.getsockname()[1]}/x"
        with pytest.raises(serving.ServerError) as caught:
            serving.connect(url.replace("user:secret@", ""))
        if scheme == "http":
            with pytest.raises(serving.ServerError, match="No server") as other:
                serving.connect(url)
            assert "secret" not in str(other.value)
    assert str(caught.value).startswith(f"No server answers at {scheme}://")
    assert "refused" in str(caught.value)


def test_a_server_that_does_not_answer(scheme):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"{scheme}://127.0.0.1:{silent.getsockname()[1]}/x"
        with pytest.raises(serving.ServerError, match=r"within 0\.2 s"):
            serving.connect(url, timeout=0.2)


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("127.0.0.1:8500/x", {}),
        ("grpc://127.0.0.1:8500", {}),
        ("grpc://127.0.0.1/x", {}),
        ("ftp://127.0.0.1:8500/x", {}),
        ("grpc://127.0.0.1:port/x", {}),
        ("grpc://127.0.0.1:8500/x", {"timeout": 0}),
        ("grpc://127.0.0.1:8500/x", {"timeout": float("nan")}),
        ("grpc://127.0.0.1:8500/x", {"max_megabytes": -1}),
        ("grpc://127.0.0.1:8500/x", {"version": 1, "label": "stable"}),
    ],
)
def test_wrong_arguments(url, options):
    with pytest.raises(ConfigurationError, match="Received: "):
        serving.connect(url, **options)


class Unruly(http.server.BaseHTTPRequestHandler):
    """Tells the signatures of a translator, and answers what it is told."""

    status, content, num_missing = 200, b"", 0
    goes_on = threading.Event()

    def do_GET(self):
        self._send(200, json.dumps({"metadata": METADATA}).encode())

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self._send(self.status, self.content, self.num_missing)
        if self.num_missing:
            self.goes_on.wait(60)

    def log_message(self, *_):
        pass

    def _send(self, status, content, num_missing=0):
        self.send_response(status)
        self.send_header("Content-Length", str(len(content) + num_missing))
        self.end_headers()
        self.wfile.write(content)


def definition(dtype):
    return {"dtype": dtype, "tensor_shape": {"dim": [{"size": "-1"}]}}


METADATA = {
    "signature_def": {
        "signature_def": {
            "serving_default": {
                "inputs": {"text": definition("DT_STRING")},
                "outputs": {
                    "translation": definition("DT_STRING"),
                    "score": definition("DT_FLOAT"),
                },
            }
        }
    }
}


@pytest.fixture(scope="module")
def unruly_url():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Unruly)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/x"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def unruly(unruly_url):
    return serving.connect(unruly_url)


def answer(**outputs):
    return json.dumps({"outputs": outputs}).encode()


@pytest.mark.parametrize(
    ("status", "content", "message"),
    [
        (200, b"<html>", "no JSON"),
        (200, b'{"outputs": "\xff"}', "no JSON"),
        (200, b"[]", "no `outputs`"),
        (200, b'{"outputs": [1]}', "have no names"),
        (200, answer(translation=["a"]), "`score` must have 1 rows"),
        (200, answer(translation=[], score=[]), "must have 1 rows"),
        (200, answer(translation=["a"], score=["x"]), "`score` is no float32"),
        (200, answer(translation=[1], score=[1]), "is no string: 1"),
        (200, answer(translation=["\ud800"], score=[1]), "is no string"),
        (200, answer(translation=[["a"]], score=[1]), "has 2 axes, not 1"),
        (502, b"<html>", "502 Bad Gateway"),
        (400, b'{"error": "line\\n\\u001b[2J"}', "400 Bad Request: line �"),
    ],
)
def test_answers_that_cannot_be_used(
    unruly, monkeypatch, status, content, message
):
    monkeypatch.setattr(Unruly, "status", status)
    monkeypatch.setattr(Unruly, "content", content)
    with pytest.raises(serving.ServerError) as caught:
        unruly.translate(["a"])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_answer_that_stops(unruly_url, monkeypatch):
    monkeypatch.setattr(Unruly, "num_missing", 9)
    goes_on = threading.Event()
    monkeypatch.setattr(Unruly, "goes_on", goes_on)
    waiting = serving.connect(unruly_url, timeout=0.3)
    with pytest.raises(serving.ServerError, match=r"within 0\.3 s"):
        waiting.translate(["a"])
    goes_on.set()
    with pytest.raises(serving.ServerError, match="can't be used"):
        serving.connect(unruly_url).translate(["a"])


def test_numbers_that_are_none(unruly, monkeypatch):
    # As TensorFlow Serving writes them; a proxy may make null of them.
    for written in (b"NaN", b"null"):
        content = b'{"outputs": {"translation": ["a"], "score": [%s]}}'
        monkeypatch.setattr(Unruly, "content", content % written)
        found = unruly._signatures["serving_default"]
        (score,) = found(text=serving.answers.as_texts(["a"]))["score"].numpy()
        assert np.isnan(score)


class Busy(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Is not available when it is asked first."""

    asked = 0

    def GetModelMetadata(self, request, context):  # noqa: N802
        Busy.asked += 1
        code = grpc.StatusCode.NOT_FOUND
        if Busy.asked == 1:
            code = grpc.StatusCode.UNAVAILABLE
        context.abort(code, f"asked {Busy.asked} times")

    Predict = GetModelMetadata


def test_a_busy_server_is_asked_again(monkeypatch):
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(1))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
        Busy(), server
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    url = f"grpc://127.0.0.1:{port}/x"
    with pytest.raises(serving.ServerError, match="NOT_FOUND: asked 2 times"):
        serving.connect(url)
    # Large requests, too.
    monkeypatch.setattr(Busy, "asked", 0)
    picture = np.zeros((1, 512, 512), "float32")
    with pytest.raises(serving.ServerError, match="NOT_FOUND: asked 2 times"):
        GrpcConnection(parse_endpoint(url)).predict("x", None, {"x": picture})
    server.stop(None).wait()


def test_a_version_that_is_none():
    with pytest.raises(ConfigurationError, match=r"number from 0\. Received"):
        serving.connect("grpc://127.0.0.1:1/x", version=2**63)


def test_names_of_classes_that_are_not_those_of_the_model():
    def of(label, names):
        probabilities = np.array([0.9, 0.08, 0.02], "float32")
        row = {"label": label.encode(), "probabilities": probabilities}
        return list(probabilities_of(row, names).items())

    unknown = [placeholder(number) for number in range(3)]
    assert [name for name, _ in of("pos", unknown)] == ["pos", *unknown[1:]]
    # The model's own are called as placeholders are.
    found = of("class 1", unknown)
    assert [name for name, _ in found] == ["class 1", "number 1", "class 2"]
    assert found[0][1] == pytest.approx(0.9)
    with pytest.raises(serving.ServerError, match=r"number 0 of .*neg"):
        of("pos", ["neg", "pos", "mixed"])

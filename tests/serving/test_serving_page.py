"""What docs/serving.md says is so."""

import json
import pathlib
import re

import requests
from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "serving.md"


def blocks(kind=""):
    """Text of the fenced blocks of a kind."""
    fenced = r"^( *)```(\w*)\n(.*?)^\1```$"
    text = PAGE.read_text("utf-8")
    found = re.findall(fenced, text, re.DOTALL | re.MULTILINE)
    return [content for _, each, content in found if each == kind]


def test_requests_by_curl(server):
    asked = {}
    for block in blocks():
        for path, body in re.findall(r"8501(/v1/\S+) \\\n  -d '(.*)'", block):
            url = f"http://127.0.0.1:{server['http']}{path}"
            response = requests.post(url, json=json.loads(body), timeout=60)
            assert response.ok, response.text
            asked.update(response.json())
    assert [row["translation"] for row in asked["predictions"]] == [
        "dans 3 semaines",
        "1 234,50 $US",
    ]
    assert asked["outputs"]["translation"] == ["dans 3 semaines"]
    assert "attention" in asked["outputs"]


def test_programs(server, monkeypatch):
    monkeypatch.chdir(PAGE.parents[1])
    (program,) = blocks("python")
    for scheme, port in (("grpc", 8500), ("http", 8501)):
        program = program.replace(
            f"{scheme}://127.0.0.1:{port}/",
            f"{scheme}://127.0.0.1:{server[scheme]}/",
        )
    names = {}
    exec(program.replace("timeout=5", "timeout=60"), names)
    answer = names["answer"]
    assert answer.text == "dans 3 semaines"
    assert answer.attention.shape[2:] == (
        len(answer.tokens),
        len(answer.source_tokens),
    )
    assert names["guesser"].classify(["3 semaines"]) == ["fr"]


def test_labels():
    (text,) = [text for text in blocks() if "version_labels" in text]
    config = model_server_config_pb2.ModelServerConfig()
    text_format.Parse(text, config)
    (model,) = config.model_config_list.config
    assert dict(model.version_labels) == {"stable": 1, "next": 2}
    assert set(model.version_labels.values()) == set(
        model.model_version_policy.specific.versions
    )

"""The routes of the Attention tab."""

import argparse
import json
import pathlib
import struct

import numpy as np
import pytest
import werkzeug.test
from tensorboard.plugins import base_plugin

from summaries import Side
from summaries.plugin import AttentionPlugin
from summaries.score_index import write_scores

TOKENS = Side([["a", "b", "c"], ["d", "e", "<b>"]])


def scores_of(seed, num_heads=2):
    weights = np.random.default_rng(seed).random((2, num_heads, 3, 3))
    return (weights / weights.sum(axis=-1, keepdims=True)).astype("float32")


@pytest.fixture
def log_dir(tmp_path):
    for run in ("one/tensorboard", "two"):
        for step in (0, 5):
            write_scores(
                tmp_path / run,
                {"self": scores_of(step), "pooling": scores_of(9, 1)},
                lambda layer: (TOKENS, TOKENS),
                step,
            )
    (tmp_path.parent / "secret.txt").write_text("secret")
    return tmp_path


@pytest.fixture
def ask(log_dir):
    """Asks a route; gives the status and the body."""
    context = base_plugin.TBContext(
        logdir=str(log_dir), flags=argparse.Namespace(logdir_spec="")
    )
    routes = AttentionPlugin(context).get_plugin_apps()

    def ask(route, **arguments):
        client = werkzeug.test.Client(routes[route])
        answer = client.get(route, query_string=arguments)
        return answer.status_code, answer.get_data()

    return ask


def unpack(content):
    (length,) = struct.unpack_from("<I", content)
    offset = 4 + length
    arrays = []
    for part in json.loads(content[4:offset]):
        count = int(np.prod(part["shape"]))
        array = np.frombuffer(content, part["dtype"], count, offset)
        arrays.append(array.reshape(part["shape"]))
        offset += -(-array.nbytes // 4) * 4
    assert offset == len(content)
    return arrays


def test_runs_and_steps(ask):
    status, content = ask("/runs")
    assert status == 200
    runs = json.loads(content)["runs"]
    assert [(run["name"], run["steps"]) for run in runs] == [
        ("one/tensorboard", [0, 5]),
        ("two", [0, 5]),
    ]
    assert all(int(run["changed"]) > 0 for run in runs)


def test_the_index_of_a_step(ask):
    status, content = ask("/step", run="two", step=5)
    index = json.loads(content)
    assert (status, index["step"]) == (200, 5)
    assert [layer["name"] for layer in index["layers"]] == ["self", "pooling"]
    assert index["samples"][1]["sides"][0]["tokens"] == ["d", "e", "<b>"]


@pytest.mark.parametrize("head", [None, 0, 1])
def test_scores(ask, head):
    chosen = {} if head is None else {"head": head}
    status, content = ask(
        "/scores", run="two", step=5, sample=1, layer=0, **chosen
    )
    assert status == 200
    (found,) = unpack(content)
    wanted = scores_of(5)[1]
    np.testing.assert_array_equal(
        found, wanted if head is None else wanted[head : head + 1]
    )


def test_thumbnails_of_all_layers(ask):
    _, content = ask("/thumbnails", run="two", step=0, sample=0)
    first, second = unpack(content)
    assert first.shape == (2, 3, 3)
    assert second.shape == (1, 3, 3)
    np.testing.assert_array_equal(
        first, np.round(255 * np.sqrt(scores_of(0)[0]))
    )


@pytest.mark.parametrize(
    ("route", "arguments", "message"),
    [
        ("/step", {"run": "three", "step": 0}, "no run of that name: 'three'"),
        ("/step", {"run": "../..", "step": 0}, "no run of that name: '../..'"),
        ("/step", {"run": "/etc", "step": 0}, "no run of that name"),
        ("/step", {"run": "one/../two", "step": 0}, "no run of that name"),
        ("/step", {"run": "two", "step": 1}, "no step 1 here"),
        ("/step", {"run": "two", "step": "-1"}, "Received: step='-1'"),
        ("/step", {"run": "two"}, "`step` must be a whole number"),
        (
            "/scores",
            {"run": "two", "step": 0, "sample": 0, "layer": 0, "head": 2},
            "The layer has 2 heads. Received: head=2",
        ),
        (
            "/scores",
            {"run": "two", "step": 0, "sample": 7, "layer": 0},
            "has no 'scores/7/0'",
        ),
        ("/rollout", {"run": "two", "step": 0, "sample": 0}, "has no 'rollout"),
        (
            "/picture",
            {"run": "two", "name": "../../../../secret.txt"},
            "no name of a picture",
        ),
    ],
)
def test_what_is_not_there_is_said(ask, route, arguments, message):
    status, content = ask(route, **arguments)
    assert status == 404
    assert message in content.decode()


def test_the_page_is_served(ask):
    for name in ("index.js", "app.js", "style.css"):
        status, content = ask(f"/static/{name}")
        assert status == 200
        assert content == pathlib.Path("summaries/page", name).read_bytes()


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("a:{0}/one,b:{0}/two", ["a/tensorboard", "b/."]),
        ("{0}/one,{0}/two", ["{0}/one/tensorboard", "{0}/two/."]),
    ],
)
def test_named_log_directories(log_dir, spec, expected):
    spec = spec.format(log_dir)
    context = base_plugin.TBContext(
        logdir="", flags=argparse.Namespace(logdir_spec=spec)
    )
    plugin = AttentionPlugin(context)
    assert plugin.is_active()
    route = plugin.get_plugin_apps()["/runs"]
    content = werkzeug.test.Client(route).get("/runs").get_data()
    names = [run["name"] for run in json.loads(content)["runs"]]
    assert names == [name.format(log_dir) for name in expected]


def test_nothing_there(tmp_path):
    context = base_plugin.TBContext(
        logdir=str(tmp_path), flags=argparse.Namespace(logdir_spec="")
    )
    assert not AttentionPlugin(context).is_active()

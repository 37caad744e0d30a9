"""What TF_CONFIG and the command line say of a cluster."""

import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from tests.training.workers import free_ports
from training import server_watch
from training.cluster import answers
from training.cluster import Cluster
from training.cluster import ClusterError
from training.cluster import distribution_arguments
from training.cluster import read_cluster

_TWO = {"worker": ["a:1", "b:2"]}


def _text(cluster=_TWO, kind="worker", index=0):
    task = {"type": kind, "index": index}
    return json.dumps({"cluster": cluster, "task": task})


@pytest.mark.parametrize("index", [1, "1"])
def test_a_cluster_of_workers(index):
    cluster = read_cluster(_text(index=index))
    assert cluster.number == 1
    assert cluster.tasks == [("worker", 0), ("worker", 1)]
    assert cluster.name(cluster.tasks[1]) == "worker 1 at b:2"


def test_a_chief_comes_first():
    cluster = read_cluster(_text({**_TWO, "chief": ["c:3"]}, "worker", 0))
    assert cluster.number == 1
    assert cluster.name(cluster.tasks[0]) == "chief 0 at c:3"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "needs the environment variable TF_CONFIG"),
        ("", "needs the environment variable TF_CONFIG"),
        ("{", "is no JSON"),
        ("[]", "names no `worker`"),
        ('{"cluster": {}}', "names no `worker`"),
        ('{"cluster": {"worker": ["a:1"]}}', "has no `task`"),
        (_text({"worker": "a:1"}), "no list of addresses for 'worker'"),
        (_text({"worker": ["a"]}), "has 'a' for `host:port`"),
        (_text({"worker": ["a:0"]}), "has 'a:0' for"),
        (_text({"worker": ["a:65536"]}), "has 'a:65536' for"),
        (_text({"worker": [7]}), "has 7 for"),
        (_text({"worker": ["a:1", "a:1"]}), "one address twice"),
        (_text({**_TWO, "ps": ["c:3"]}), "the job 'ps'"),
        (_text({**_TWO, "chief": ["c:3", "d:4"]}), "more than one chief"),
        (_text(kind="chief"), "the task type 'chief'"),
        (_text(kind=["worker"]), "the task type ['worker']"),
        (_text(index=2), "the index 2 for the 2 tasks of 'worker'"),
        (_text(index=-1), "the index -1"),
        (_text(index=None), "the index None"),
        (_text(index=True), "the index True"),
    ],
)
def test_what_can_not_be_is_one_error(text, message):
    with pytest.raises(ClusterError) as caught:
        read_cluster(text)
    assert message in str(caught.value)
    assert '{"cluster": {"worker": ["a:2222", "b:2222"]}' in str(caught.value)


def test_the_command_line():
    environment = {"TF_CONFIG": _text()}
    found = distribution_arguments(
        [
            *("--epochs", "3", "--distribute=multi_worker"),
            *("--data_service", "grpc://a:1, b:2"),
        ],
        environment,
    )
    assert found.cluster == Cluster(_TWO, "worker", 0)
    assert found.servers == ("a:1", "b:2")
    assert distribution_arguments([], environment).cluster is None


def test_an_address_of_a_server_that_is_none():
    with pytest.raises(ClusterError, match="data_service=http://a:1"):
        distribution_arguments(["--data_service", "http://a:1"])


def test_who_is_lost():
    (port,) = free_ports(1)
    with socket.create_server(("127.0.0.1", 0)) as server:
        listening = f"127.0.0.1:{server.getsockname()[1]}"
        workers = ["127.0.0.1:1", listening, f"127.0.0.1:{port}"]
        cluster = Cluster({"worker": workers}, "worker", 0)
        assert answers(listening)
        assert cluster.lost("") == [f"worker 2 at 127.0.0.1:{port}"]
        cluster = Cluster({"worker": workers[:2]}, "worker", 0)
        assert cluster.lost("") == []
        message = "Error reported from /job:worker/replica:0/task:1: gone"
        assert cluster.lost(message) == [f"worker 1 at {listening}"]


def test_the_command_refuses_before_it_loads_anything(command, tmp_path):
    status, _, errors = command.run(
        ["fit", "--distribute", "multi-worker"], tmp_path
    )
    assert status == 2
    assert errors == (
        "train.py: `distribute` is one of none, mirrored, multi_worker. "
        "Received: distribute=multi-worker\n"
    )


def test_an_open_port_is_no_data_server():
    with socket.create_server(("127.0.0.1", 0)) as tunnel:
        address = f"127.0.0.1:{tunnel.getsockname()[1]}"
        assert answers(address)
        assert not server_watch.serves_grpc(address, timeout=0.5)


def test_the_watch_of_data_servers(monkeypatch):
    ended = threading.Event()
    gone = []

    def end(address):
        gone.append(address)
        ended.set()

    monkeypatch.setattr(server_watch, "_end", end)
    # Two are there, then one.
    servers, addresses = [], []
    for _ in range(2):
        servers.append(grpc.server(ThreadPoolExecutor(1)))
        port = servers[-1].add_insecure_port("127.0.0.1:0")
        addresses.append(f"127.0.0.1:{port}")
        servers[-1].start()
    with server_watch.watch_servers(addresses, 0.3, 0.05):
        assert not ended.wait(1)
        servers[1].stop(None).wait()
        assert ended.wait(30)
    servers[0].stop(None).wait()
    assert {*gone} == {addresses[1]}
    time.sleep(0.5)  # Nothing looks any more.
    ended.clear()
    assert not ended.wait(1)

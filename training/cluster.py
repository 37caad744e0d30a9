"""The machines of a fit, as the environment variable TF_CONFIG names them."""

import argparse
import dataclasses
import json
import os
import re
import socket

_EXAMPLE = (
    '{"cluster": {"worker": ["a:2222", "b:2222"]}, '
    '"task": {"type": "worker", "index": 0}}'
)
_ADDRESS = re.compile(r"[^\s:/]+:(\d+)|\[[0-9a-fA-F:]+\]:(\d+)")
# The exit status, as in sysexits.h: what failed may succeed later.
TRY_AGAIN = 75
# Jobs whose tasks fit, in the order of their numbers.
_JOBS = ("chief", "worker")


class ClusterError(ValueError):
    """TF_CONFIG or the address of a server is not as it must be."""


class LostPeerError(Exception):
    """A worker or a data server is gone, so this process can't go on."""


@dataclasses.dataclass(frozen=True)
class Cluster:
    """The workers, of which this process is one.

    Attributes:
        jobs: Addresses, `host:port`, by job: `worker`, perhaps `chief`.
        job: That of this process.
        index: Its number within the job.
    """

    jobs: dict
    job: str
    index: int

    @property
    def tasks(self):
        """`(job, index)` of all workers, the first one is the chief."""
        return [
            (job, index)
            for job in _JOBS
            for index in range(len(self.jobs.get(job, ())))
        ]

    @property
    def number(self):
        """Number of this worker among all of them."""
        return self.tasks.index((self.job, self.index))

    def name(self, task):
        """What a worker is called in messages."""
        job, index = task
        return f"{job} {index} at {self.jobs[job][index]}"

    def lost(self, message, timeout=2.0):
        """The names of the workers that are gone, as far as one can tell.

        Args:
            message: What TensorFlow says of it.
            timeout: Seconds that another may take to answer.
        """
        named = {
            (job, int(index))
            for job, index in re.findall(
                r"/job:(\w+)(?:/replica:\d+)?/task:(\d+)", message
            )
        }
        others = [t for t in self.tasks if t != (self.job, self.index)]
        silent = [
            (job, index)
            for job, index in others
            if not answers(self.jobs[job][index], timeout)
        ]
        found = silent or [task for task in others if task in named]
        return [self.name(task) for task in found]


def answers(address, timeout=2.0):
    """Whether something listens at an address `host:port`."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout):
            return True
    except OSError:
        return False


def is_address(text):
    """Whether a text is `host:port`, with a port there is."""
    found = _ADDRESS.fullmatch(text) if isinstance(text, str) else None
    return bool(found) and 0 < int(found[1] or found[2]) < 2**16


def read_cluster(text):
    """The `Cluster` of a TF_CONFIG.

    Args:
        text: The value of that variable; None if it is not set.

    Raises:
        ClusterError: If it is not as TensorFlow needs it.
    """
    if not text:
        raise ClusterError(
            "Fitting with several workers needs the environment variable "
            f"TF_CONFIG, for example {_EXAMPLE}"
        )
    try:
        given = json.loads(text)
    except ValueError as error:
        raise _refusal(f"is no JSON ({error})", text) from None
    cluster = given.get("cluster") if isinstance(given, dict) else None
    task = given.get("task") if isinstance(given, dict) else None
    if not isinstance(cluster, dict) or not cluster.get("worker"):
        raise _refusal("names no `worker` in `cluster`", text)
    if not isinstance(task, dict):
        raise _refusal("has no `task`", text)
    chiefs = cluster.get("chief", [])
    if isinstance(chiefs, list) and len(chiefs) > 1:
        raise _refusal("has more than one chief", text)
    unknown = sorted({*cluster} - {*_JOBS})
    if unknown:
        raise _refusal(f"has the job {unknown[0]!r}, which fits nothing", text)
    for job, addresses in cluster.items():
        if not isinstance(addresses, list):
            raise _refusal(f"has no list of addresses for {job!r}", text)
        for address in addresses:
            if not is_address(address):
                raise _refusal(f"has {address!r} for `host:port`", text)
    every = [address for job in cluster.values() for address in job]
    if len({*every}) < len(every):
        raise _refusal("has one address twice", text)
    job, index = task.get("type"), task.get("index")
    if not isinstance(job, str) or job not in cluster:
        raise _refusal(f"has the task type {job!r}, no job of it", text)
    if not _is_index(index) or not 0 <= int(index) < len(cluster[job]):
        raise _refusal(
            f"has the index {index!r} for the {len(cluster[job])} tasks of "
            f"{job!r}",
            text,
        )
    return Cluster(cluster, job, int(index))


def _is_index(index):
    # Shells write it as a text.
    return str(index).isdecimal() and not isinstance(index, bool)


def _refusal(what, text):
    return ClusterError(
        f"TF_CONFIG {what}. It must look like {_EXAMPLE}. "
        f"Received: TF_CONFIG={text}"
    )


@dataclasses.dataclass(frozen=True)
class DistributionArguments:
    """What a command line says of distribution, outside the recipe.

    Attributes:
        kind: `none`, `mirrored` or `multi_worker`.
        service: The data servers as they were written.
        servers: Their addresses.
        cluster: With `multi_worker` the `Cluster`.
    """

    kind: str = "none"
    service: str = ""
    servers: tuple = ()
    cluster: Cluster | None = None


KINDS = ("none", "mirrored", "multi_worker")


def distribution_arguments(argv, environment=os.environ):
    """What is said of distribution, before anything else is read: with
    several workers TensorFlow must be told before it does anything.

    Args:
        argv: The arguments after `fit`.
        environment: Where TF_CONFIG may be.

    Raises:
        ClusterError: If TF_CONFIG or an address is not as it must be.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--distribute", default="none")
    parser.add_argument("--data_service", default="")
    given, _ = parser.parse_known_args(argv)
    if given.distribute not in KINDS:
        raise ClusterError(
            f"`distribute` is one of {', '.join(KINDS)}. "
            f"Received: distribute={given.distribute}"
        )
    cluster = None
    if given.distribute == "multi_worker":
        cluster = read_cluster(environment.get("TF_CONFIG"))
    return DistributionArguments(
        given.distribute,
        given.data_service,
        _servers(given.data_service),
        cluster,
    )


def _servers(text):
    servers = tuple(
        part.strip().removeprefix("grpc://")
        for part in text.split(",")
        if part.strip()
    )
    for address in servers:
        if not is_address(address):
            raise ClusterError(
                "A data server is named by grpc://HOST:PORT, several with "
                f"commas between them. Received: data_service={text}"
            )
    return servers

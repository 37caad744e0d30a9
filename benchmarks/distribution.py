"""The time of a training step with one worker and with several.

    python -m benchmarks.distribution

The same global batch and the same steps each time, on this machine: by one
process with one part of its cores, by one process with all of them, and by as
many processes as there are parts, each with its part, which add up their
gradients over 127.0.0.1. The last against the first is what a second machine
would give at best; against the second it is what the adding up costs. Nothing
is compiled with XLA, which does not go with several processes; one row says
what a single process gains by it.
"""

import argparse
import functools
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile

from benchmarks import _report
from benchmarks import _timing

HEADER = ["processes", "cores of each", "a step", "ratio to the first"]
_ARGUMENTS = [
    *("--preset", "transformer_translator_tiny", "--dataset", "phrases"),
    # All steps are of one epoch, behind which there is a validation.
    *("--data.num_train", "25000", "--tokens_per_batch", "4096"),
]


def parse_arguments(arguments=None):
    """The command line; what it does not know is that of `train.py fit`."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.distribution",
        description="Time training steps of one worker and of several. "
        "Further arguments are those of `train.py fit`.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--workers", type=int, default=2)
    add("--steps", type=int, default=20, help="Steps that are timed.")
    add("--repeats", type=int, default=3)
    return parser.parse_known_args(arguments)


def step_seconds(*setting):
    """Seconds of a step; see `_step_seconds`."""
    with tempfile.TemporaryDirectory() as folder:
        return _step_seconds(folder, *setting)


def _step_seconds(folder, processes, cores, jit, steps, more):
    """Seconds of a step.

    Args:
        folder: Where the run may lie.
        processes: Number of processes.
        cores: Number of cores of each.
        jit: Whether XLA compiles the step.
        steps: How many are timed.
        more: Arguments of `fit`.
    """
    with_cluster = processes > 1
    how = ["--distribute", "multi_worker"] if with_cluster else []
    addresses = [f"127.0.0.1:{port}" for port in _free_ports(processes)]
    allowed = sorted(os.sched_getaffinity(0))
    started = []
    for index in range(processes):
        config = {
            "cluster": {"worker": addresses},
            "task": {"type": "worker", "index": index},
        }
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
        if with_cluster:
            environment["TF_CONFIG"] = json.dumps(config)
        own = [
            allowed[(index * cores + n) % len(allowed)] for n in range(cores)
        ]
        started.append(
            subprocess.Popen(
                [
                    *(sys.executable, "-m", "benchmarks._distribution_worker"),
                    *(folder, str(steps), ",".join(map(str, own))),
                    *(*_ARGUMENTS, "--jit", str(jit).lower(), *more, *how),
                ],
                env=environment,
                stdout=subprocess.PIPE,
                text=True,
            )
        )
    answers = [process.communicate()[0] for process in started]
    if any(process.returncode for process in started):
        raise RuntimeError("A worker failed; its own message is above.")
    return json.loads(answers[0].splitlines()[-1])["seconds"]


def _free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def main():
    """Print the table."""
    arguments, more = parse_arguments()
    # With fewer cores than workers they share them.
    part = max(1, len(os.sched_getaffinity(0)) // arguments.workers)
    settings = {
        "1": (1, part, False),
        "1, all cores": (1, part * arguments.workers, False),
        "1, all cores, compiled": (1, part * arguments.workers, True),
        str(arguments.workers): (arguments.workers, part, False),
    }
    actions = {
        name: functools.partial(step_seconds, *setting, arguments.steps, more)
        for name, setting in settings.items()
    }
    seconds = _timing.interleave(
        actions,
        arguments.repeats,
        lambda number: print(
            f"round {number} of {arguments.repeats}", file=sys.stderr
        ),
    )
    rows = [
        [
            name,
            settings[name][1],
            f"{1000 * statistics.median(own):.0f} ms",
            f"{1 / _timing.ratio(seconds['1'], own):.2f}",
        ]
        for name, own in seconds.items()
    ]
    about = {
        "processor": _report.processor(),
        "versions": _report.versions("tensorflow", "keras"),
        "fit": " ".join([*_ARGUMENTS, *more]),
    }
    print(_report.describe(about), end="\n\n")
    print(_report.markdown_table(HEADER, rows))


if __name__ == "__main__":
    main()

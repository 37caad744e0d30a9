"""The Bahdanau translator against its peers: time, memory, ratios.

    python -m benchmarks.bahdanau --preset bahdanau_translator_tiny

times one training step (forward, smoothed cross-entropy, backward, clipping
of the global norm, AdamW) and greedy decoding of
- the model of the zoo, compiled as `train.py fit` compiles it,
- the tutorial form in Keras: a Python loop over steps that project all again,
- the same model in torch, written as well as ours.

All have the same sizes, batch and weights; before anything is timed, losses,
gradients and translations must agree. Each runs in a process of its own, in
turn, and ratios are medians over the rounds. Needs `torch`.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import statistics
import sys
import tempfile

from benchmarks import _agreement
from benchmarks import _report
from benchmarks._bahdanau_setting import Setting
from benchmarks._timing import interleave
from benchmarks._timing import ratio
from benchmarks._workers import Worker

OURS = "ours"
CONTESTANTS = {
    OURS: ("benchmarks._bahdanau_ours", {}),
    "ours-without-xla": ("benchmarks._bahdanau_ours", {"jit": False}),
    "ours-bfloat16": (
        "benchmarks._bahdanau_ours",
        {"precision": "mixed_bfloat16"},
    ),
    "tutorial": ("benchmarks._bahdanau_tutorial", {}),
    "torch": ("benchmarks._bahdanau_torch", {}),
    "torch-compiled": ("benchmarks._bahdanau_torch", {"compiled": True}),
}
HEADER = [
    "implementation",
    "training step",
    "target tokens/s",
    "ours is faster by",
    "decoding",
    "tokens/s",
    "ours is faster by",
    "first step",
    "peak memory",
    "of it imports",
]


def parse_arguments(arguments=None):
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.bahdanau",
        description="Time the Bahdanau translator against its peers.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--preset", default="bahdanau_translator_tiny")
    add("--embedding-dim", type=int, help="instead of the preset's")
    add("--hidden-dim", type=int, help="instead of the preset's")
    add(
        "--tie-embeddings",
        action=argparse.BooleanOptionalAction,
        help="instead of the preset's",
    )
    add("--batch-size", type=int, default=128)
    add("--length", type=int, default=16, help="tokens of a sentence")
    add("--vocabulary-size", type=int, default=1000, help="of each language")
    add("--repeats", type=int, default=7, help="rounds")
    add("--steps", type=int, default=5, help="training steps in a round")
    add("--threads", type=int, default=os.cpu_count())
    add(
        "--against",
        nargs="+",
        choices=[name for name in CONTESTANTS if name != OURS],
        default=["ours-without-xla", "tutorial", "torch"],
    )
    add("--json", type=pathlib.Path, metavar="FILE", help="numbers as JSON")
    return parser.parse_args(arguments)


def make_setting(options):
    """The sizes: the preset's, unless the command line says otherwise."""
    with Worker(
        "benchmarks._preset_sizes", options.threads, preset=options.preset
    ) as worker:
        sizes = worker.call("architecture")
    for name in ("embedding_dim", "hidden_dim", "tie_embeddings"):
        value = getattr(options, name)
        if value is not None:
            sizes[name] = value
    return Setting(
        embedding_dim=sizes["embedding_dim"],
        hidden_dim=sizes["hidden_dim"],
        tie_embeddings=sizes.get("tie_embeddings", False),
        input_in_query=sizes.get("input_in_query", False),
        vocabulary_size=options.vocabulary_size,
        batch_size=options.batch_size,
        length=options.length,
        threads=options.threads,
    )


def start(name, preset, setting):
    """A worker of that name."""
    module, extra = CONTESTANTS[name]
    if module == CONTESTANTS[OURS][0]:
        extra = {**extra, "preset": preset}
    return Worker(
        module, setting.threads, setting=dataclasses.asdict(setting), **extra
    )


def check(workers):
    """All compute the same loss, gradients and translations.

    Raises:
        RuntimeError: If one does not.
    """
    with tempfile.TemporaryDirectory() as folder:
        answers = {}
        for name, worker in workers.items():
            gradients = f"{folder}/{name}_gradients.npz"
            tokens = f"{folder}/{name}_tokens.npz"
            loss = worker.call("loss_and_gradients", path=gradients)
            worker.call("translate", path=tokens)
            answers[name] = (loss, gradients, tokens)
        ours = answers.pop(OURS)
        for name, answer in answers.items():
            exact = "bfloat16" not in name
            _agreement.compare(name, ours, answer, exact)


def measure(workers, options):
    """`{"train" or "decode": {name: seconds of each round}}`."""
    found = {}
    for task, steps in (("train", options.steps), ("decode", 2)):
        actions = {
            name: lambda worker=worker, task=task, steps=steps: worker.call(
                task, steps=steps
            )
            for name, worker in workers.items()
        }
        interleave(actions, 2)  # warm-up
        found[task] = interleave(
            actions,
            options.repeats,
            lambda number, task=task: print(
                f"{task}: round {number} of {options.repeats}", file=sys.stderr
            ),
        )
    return found


def measure_memory(name, options, setting):
    """Peak memory of a fresh process that only trains, in MiB."""
    with start(name, options.preset, setting) as worker:
        worker.call("prepare")
        worker.call("train", steps=2 * options.steps)
        return worker.call("memory")


def summarise(name, seconds, first, memory, setting):
    """The numbers of one row."""
    numbers = {"first_step": first, **memory}
    for task, rounds in seconds.items():
        median = statistics.median(rounds[name])
        numbers[f"{task}_seconds"] = median
        numbers[f"{task}_tokens_per_second"] = setting.target_tokens / median
        numbers[f"{task}_ratio"] = ratio(rounds[name], rounds[OURS])
    return numbers


def row(name, numbers):
    """A line of the table."""
    cells = [name]
    for task in ("train", "decode"):
        cells += [
            f"{1e3 * numbers[f'{task}_seconds']:.0f} ms",
            f"{numbers[f'{task}_tokens_per_second']:,.0f}",
            f"{numbers[f'{task}_ratio']:.2f}",
        ]
    return [
        *cells,
        f"{numbers['first_step']:.1f} s",
        f"{numbers['peak']:,.0f} MiB",
        f"{numbers['imported']:,.0f} MiB",
    ]


def main(arguments=None):
    """Run the benchmark and print its table."""
    options = parse_arguments(arguments)
    setting = make_setting(options)
    names = [OURS, *options.against]
    workers = {name: start(name, options.preset, setting) for name in names}
    try:
        check(workers)
        first = {n: worker.call("prepare") for n, worker in workers.items()}
        seconds = measure(workers, options)
    finally:
        for worker in workers.values():
            worker.close()
    numbers = {
        name: summarise(
            name,
            seconds,
            first[name],
            measure_memory(name, options, setting),
            setting,
        )
        for name in names
    }
    about = {
        "setting": dataclasses.asdict(setting),
        "processor": _report.processor(),
        "versions": _report.versions("tensorflow", "keras", "torch"),
    }
    print(
        _report.markdown_table(
            HEADER, [row(name, numbers[name]) for name in names]
        )
    )
    print(f"\n{_report.describe(about)}")
    if options.json:
        options.json.write_text(
            json.dumps({**about, "results": numbers, "seconds": seconds})
        )


if __name__ == "__main__":
    main()

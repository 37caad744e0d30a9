"""The Vision Transformer against its peers: time, ratios, and the limit.

    python -m benchmarks.encoders

times a forward pass and a training step (forward, cross-entropy, backward,
AdamW) of
- the model of the zoo, compiled by XLA as `train.py fit` compiles it, and not,
- `ViTImageClassifier` of KerasHub, in the default mode of Keras and by XLA,
- `ViTForImageClassification` of transformers, in torch,
and, as the limit of a forward pass, its matrix products alone, by TensorFlow
and by torch, of which the faster counts.

All have the same sizes, batch and weights, which transformers draws; before
anything is timed their logits must agree, and the losses of the first
training steps. Each runs in a process of its own, in turn, and ratios are
medians over the rounds. Needs `torch`, `transformers` and `keras-hub`
(requirements-bench.txt).
"""

import argparse
import dataclasses
import json
import os
import pathlib
import statistics
import tempfile

import numpy as np

from benchmarks import _agreement
from benchmarks import _report
from benchmarks._encoders_setting import POLICIES
from benchmarks._encoders_setting import Setting
from benchmarks._products import forward_flops
from benchmarks._products import vision_products
from benchmarks._timing import race
from benchmarks._timing import ratio
from benchmarks._workers import Worker

OURS = "ours"
TORCH = "benchmarks._encoders_torch"
KERAS = "benchmarks._encoders_keras"
CONTESTANTS = {
    OURS: (KERAS, {"who": "ours", "jit": True}),
    "ours-without-xla": (KERAS, {"who": "ours", "jit": False}),
    "keras-hub": (KERAS, {"who": "keras-hub", "jit": "auto"}),
    "keras-hub-xla": (KERAS, {"who": "keras-hub", "jit": True}),
    "transformers": (TORCH, {}),
    "transformers-compiled": (TORCH, {"compiled": True}),
}
FRAMEWORKS = ("tensorflow", "torch")
# Ours, which transformers would take for the package of Hugging Face.
HIDDEN = ("datasets",)
TRAINING_STEPS = 3
HEADER = [
    "implementation",
    "forward",
    "forward / matrix products",
    "ours is faster by",
    "training step",
    "ours is faster by",
]


def parse_arguments(arguments=None):
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.encoders",
        description="Time the Vision Transformer against its peers.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--preset", default="vision_transformer_tiny")
    add("--image-size", type=int, default=224, help="side in pixels")
    add("--batch-size", type=int, default=8)
    add("--num-classes", type=int, default=1000)
    add("--precision", nargs="+", choices=POLICIES, default=list(POLICIES))
    add("--repeats", type=int, default=7, help="rounds")
    add("--threads", type=int, default=os.cpu_count())
    add(
        "--against",
        nargs="+",
        choices=[name for name in CONTESTANTS if name != OURS],
        default=[
            "ours-without-xla",
            "keras-hub",
            "keras-hub-xla",
            "transformers",
        ],
    )
    add("--json", type=pathlib.Path, metavar="FILE", help="numbers as JSON")
    return parser.parse_args(arguments)


def make_setting(options):
    """The sizes of the preset, and those of the command line."""
    with Worker(
        "benchmarks._preset_sizes", options.threads, preset=options.preset
    ) as worker:
        architecture = worker.call("architecture")
    fields = {field.name for field in dataclasses.fields(Setting)}
    return Setting(
        preset=options.preset,
        image_size=options.image_size,
        batch_size=options.batch_size,
        num_classes=options.num_classes,
        threads=options.threads,
        **{name: architecture[name] for name in fields & {*architecture}},
    )


def start(name, setting, folder):
    """A worker of that name, with the weights in a folder."""
    module, extra = CONTESTANTS[name]
    return Worker(
        module,
        setting.threads,
        HIDDEN if name.startswith(("keras-hub", "transformers")) else (),
        setting=dataclasses.asdict(setting),
        folder=folder,
        **extra,
    )


def start_products(framework, setting):
    """A worker for the matrix products alone."""
    return Worker(
        "benchmarks._products_contestant",
        setting.threads,
        framework=framework,
        products=products_of(setting),
        precision=setting.precision,
        num_threads=setting.threads,
    )


def products_of(setting):
    """The matrix products of a forward pass."""
    return vision_products(
        setting.batch_size,
        setting.image_size,
        setting.num_classes,
        **setting.sizes,
    )


def write_weights(setting, folder):
    """Let transformers draw the weights of all and write them to a folder."""
    options = {"setting": dataclasses.asdict(setting)}
    with Worker(TORCH, setting.threads, HIDDEN, **options) as worker:
        worker.call("save", folder=folder)


def check(workers, precision):
    """All compute the same logits, and the same losses of the first steps.

    Raises:
        RuntimeError: If one does not.
    """
    with tempfile.TemporaryDirectory() as folder:
        answers = {}
        for name, worker in workers.items():
            path = f"{folder}/{name}.npy"
            worker.call("logits", path=path)
            losses = worker.call("losses", steps=TRAINING_STEPS)
            answers[name] = np.load(path), np.array(losses)
    ours = answers.pop(OURS)
    for name, answer in answers.items():
        _agreement.compare_outputs(name, ours, answer, precision)


def measure(setting, options, folder):
    """`{"forward" or "train": {name: seconds of each round}}`.

    Beside the contestants `forward` has the matrix products of each
    framework.
    """
    workers = {}
    try:
        for name in [OURS, *options.against]:
            workers[name] = start(name, setting, folder)
        check(workers, setting.precision)
        products = {}
        for framework in FRAMEWORKS:
            name = f"matrix products, {framework}"
            products[name] = start_products(framework, setting)
        workers |= products
        found = {}
        for kind in ("forward", "train"):
            racers = {
                name: (worker, kind)
                for name, worker in workers.items()
                if kind == "forward" or name not in products
            }
            title = f"{setting.precision}, {kind}"
            found[kind] = race(racers, options.repeats, title)
    finally:
        for worker in workers.values():
            worker.close()
    return found


def summarise(seconds):
    """`{name: numbers of a row}`: medians, and ratios within the rounds."""
    forward, train = seconds["forward"], seconds["train"]
    medians = {name: statistics.median(each) for name, each in forward.items()}
    limit = min((n for n in forward if n not in train), key=medians.get)
    numbers = {}
    for name, rounds in forward.items():
        numbers[name] = {
            "forward_seconds": medians[name],
            "forward_to_limit": ratio(rounds, forward[limit]),
            "forward_ratio": ratio(rounds, forward[OURS]),
        }
        if name in train:
            numbers[name] |= {
                "train_seconds": statistics.median(train[name]),
                "train_ratio": ratio(train[name], train[OURS]),
            }
    return numbers


def row(name, numbers):
    """A line of the table."""
    cells = [
        name,
        f"{1e3 * numbers['forward_seconds']:.1f} ms",
        f"{numbers['forward_to_limit']:.2f}",
        f"{numbers['forward_ratio']:.2f}",
    ]
    if "train_seconds" not in numbers:
        return [*cells, "", ""]
    return [
        *cells,
        f"{1e3 * numbers['train_seconds']:.1f} ms",
        f"{numbers['train_ratio']:.2f}",
    ]


def main(arguments=None):
    """Run the benchmark and print its tables."""
    options = parse_arguments(arguments)
    setting = make_setting(options)
    flops = forward_flops(products_of(setting))
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        write_weights(setting, folder)
        for precision in options.precision:
            seconds = measure(
                dataclasses.replace(setting, precision=precision),
                options,
                folder,
            )
            numbers = summarise(seconds)
            results[precision] = {"results": numbers, "seconds": seconds}
            rows = [row(name, each) for name, each in numbers.items()]
            print(f"{precision}, {flops / 1e9:.1f} GFLOP forward:\n")
            print(f"{_report.markdown_table(HEADER, rows)}\n", flush=True)
    about = {
        "setting": {
            name: value
            for name, value in dataclasses.asdict(setting).items()
            if name != "precision"
        },
        "processor": _report.processor(),
        "versions": _report.versions(
            "tensorflow", "keras", "keras-hub", "torch", "transformers"
        ),
    }
    print(_report.describe(about))
    if options.json:
        options.json.write_text(json.dumps({**about, **results}), "utf-8")


if __name__ == "__main__":
    main()

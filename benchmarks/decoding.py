"""A Transformer translator against its peers: searches and training.

    python -m benchmarks.decoding

times greedy search, beam search and a training step (forward, cross-entropy
of the next token, backward, AdamW) of
- the model of the zoo, compiled by XLA and not,
- `MarianMTModel` of transformers in torch: `generate` with its cache, and a
  training step, which `torch.compile` may compile,
- that model in CTranslate2, an engine written for this alone, which does not
  train.

All are post-norm Transformers with ReLU, sinusoids and one embedding for
everything, in float32, with the same sizes, random weights and batch. All
sentences have full length, and special tokens, END among them, are impossible
(their logits are made -1e9), so that all write the same number of tokens. The
rates count tokens of the batch; of a beam, those of the best hypothesis.

Features of Marian's are ordered otherwise, which is done to the weights, and
its START is a vector of zeros, which ours is given. So before anything is
timed log-probabilities of the first step must agree, the tokens that each
search finds, up to ties, and the losses of the first training steps. What
differs: ours masks what is padding in source and target, as it would if there
were any, and transformers leaves out a mask that hides nothing; CTranslate2
takes words and gives words, and keeps one memory of the source for all beams.

Then greedy search of ours at several lengths with keys and values kept, and
without: by calls of the model with all tokens so far, of which each computes
the decoder and the logits of all of them, while the source is read once.
Without XLA the calls grow with the prefix; with it they have one shape, the
full length. Of each way the faster, with XLA or without, counts. All must find
the same.

Each contestant runs in a process of its own, in turn, and ratios are medians
over the rounds. Compiling is not timed. Needs `torch`, `transformers` and
`ctranslate2` (requirements-bench.txt).
"""

import argparse
import dataclasses
import json
import os
import pathlib
import tempfile

import numpy as np

from benchmarks import _agreement
from benchmarks import _decoding_tables as tables
from benchmarks import _report
from benchmarks._decoding_setting import NEVER_EMITTED
from benchmarks._decoding_setting import Setting
from benchmarks._decoding_tables import CACHED
from benchmarks._decoding_tables import OURS
from benchmarks._decoding_tables import WHOLE
from benchmarks._decoding_tables import WITHOUT_XLA
from benchmarks._timing import race
from benchmarks._workers import Worker

CTRANSLATE2 = "ctranslate2"
ZOO = "benchmarks._decoding_ours"
MARIAN = "benchmarks._decoding_marian"
SEARCHES = ("greedy", "beam")
KINDS = (*SEARCHES, "train")
# Module, options, and what is timed.
CONTESTANTS = {
    OURS: (ZOO, {"jit": True}, KINDS),
    WITHOUT_XLA: (ZOO, {"jit": False}, KINDS),
    "transformers": (MARIAN, {}, KINDS),
    "transformers-compiled": (MARIAN, {"compiled": True}, ("train",)),
    CTRANSLATE2: ("benchmarks._decoding_ctranslate2", {}, SEARCHES),
}
# Ours, which transformers would take for the package of Hugging Face; and
# what CTranslate2 only converts with.
HIDDEN = {
    MARIAN: ("datasets",),
    "benchmarks._decoding_ctranslate2": ("datasets", "torch", "transformers"),
}
TRAINING_STEPS = 3
SIZES = {
    "num_layers": "of the encoder, and of the decoder",
    "num_heads": "of each attention",
    "hidden_dim": "width of the states",
    "intermediate_dim": "width inside the feed-forward networks",
    "vocabulary_size": "one for both languages",
    "batch_size": "sentences",
    "source_length": "tokens of a sentence",
    "target_length": "tokens of a translation",
    "beam_width": "hypotheses of the beam search",
}


def parse_arguments(arguments=None):
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.decoding",
        description="Time the Transformer translator against its peers.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    for name, about in SIZES.items():
        default = getattr(Setting, name)
        flag = f"--{name.replace('_', '-')}"
        add(flag, type=int, default=default, help=about)
    add("--seed", type=int, default=0, help="another, if a tie is in the way")
    add("--measure", nargs="*", choices=KINDS, default=list(KINDS))
    add(
        "--cache-lengths",
        nargs="*",
        type=int,
        default=[32, 128, 512],
        help="output lengths with and without a cache; none measures none",
    )
    add("--cache-batch-size", type=int, default=2, help="for these lengths")
    add("--cache-repeats", type=int, default=3, help="rounds of these")
    add("--repeats", type=int, default=7, help="rounds")
    add("--threads", type=int, default=os.cpu_count())
    add(
        "--against",
        nargs="*",
        choices=[name for name in CONTESTANTS if name != OURS],
        default=[WITHOUT_XLA, "transformers", CTRANSLATE2],
    )
    add("--json", type=pathlib.Path, metavar="FILE", help="numbers as JSON")
    return parser.parse_args(arguments)


def make_setting(options):
    """The sizes of the command line."""
    sizes = {name: getattr(options, name) for name in SIZES}
    return Setting(threads=options.threads, seed=options.seed, **sizes)


def start(name, setting, folder=None):
    """A worker of that name.

    Args:
        name: Of the contestant.
        setting: `Setting`.
        folder: Of the converted model, for CTranslate2.
    """
    module, extra, _ = CONTESTANTS[name]
    if name == CTRANSLATE2:
        extra = {"folder": folder}
    return Worker(
        module,
        setting.threads,
        HIDDEN.get(module, ()),
        setting=dataclasses.asdict(setting),
        **extra,
    )


def convert(setting, folder):
    """Write the model for CTranslate2 to a folder."""
    with start("transformers", setting) as worker:
        worker.call("convert", folder=folder)


def kinds_of(name, measured):
    """What is timed of a contestant, in the order of the table."""
    return [kind for kind in CONTESTANTS[name][2] if kind in measured]


def answer(worker, kinds, folder):
    """What a contestant computes, as `compare_searches` wants it."""
    path = f"{folder}/answer.npy"
    found = {}
    for search in kinds:
        if search != "train":
            worker.call("translate", kind=search, path=path)
            found[search] = np.load(path)
    if found:
        worker.call("first_step", path=path)
        found["first"] = np.load(path)[:, NEVER_EMITTED:]
    if "train" in kinds:  # last, for it changes the weights
        losses = worker.call("losses", steps=TRAINING_STEPS)
        found["losses"] = np.array(losses)
    return found


def check(workers, measured):
    """`{name: {search: share of tokens that are ours}}`.

    Raises:
        RuntimeError: If one does not compute what ours does.
    """
    with tempfile.TemporaryDirectory() as folder:
        answers = {
            name: answer(worker, kinds_of(name, measured), folder)
            for name, worker in workers.items()
        }
    ours = answers.pop(OURS)
    return {
        name: _agreement.compare_searches(name, ours, theirs)
        for name, theirs in answers.items()
    }


def measure(setting, options):
    """Seconds of each round, `{kind: {name: list}}`, and what `check` gave."""
    names = [OURS, *options.against]
    names = [name for name in names if kinds_of(name, options.measure)]
    workers = {}
    with tempfile.TemporaryDirectory() as folder:
        if CTRANSLATE2 in names:
            convert(setting, folder)
        try:
            for name in names:
                workers[name] = start(name, setting, folder)
            same = check(workers, options.measure)
            seconds = {}
            for kind in options.measure:
                racers = {
                    name: (worker, kind)
                    for name, worker in workers.items()
                    if kind in kinds_of(name, options.measure)
                }
                seconds[kind] = race(racers, options.repeats, kind)
        finally:
            for worker in workers.values():
                worker.close()
    return seconds, same


def measure_cache(setting, options):
    """Seconds of each round of one length, `{kind: {name: list}}`.

    Raises:
        RuntimeError: If searches with and without a cache differ.
    """
    names, kinds = (OURS, WITHOUT_XLA), (CACHED, WHOLE)
    workers = {}
    try:
        for name in names:
            workers[name] = start(name, setting)
        with tempfile.TemporaryDirectory() as folder:
            found = {}
            for name, worker in workers.items():
                for kind in kinds:
                    path = f"{folder}/tokens.npy"
                    worker.call("translate", kind=kind, path=path)
                    found[name, kind] = {CACHED: np.load(path)}
        for (name, kind), tokens in found.items():
            _agreement.compare_searches(
                f"{name}, {kind},", found[OURS, CACHED], tokens
            )
        racers = {
            (kind, name): (worker, kind)
            for kind in kinds
            for name, worker in workers.items()
        }
        title = f"{setting.target_length} tokens"
        rounds = race(racers, options.cache_repeats, title)
    finally:
        for worker in workers.values():
            worker.close()
    return {
        kind: {name: rounds[kind, name] for name in names} for kind in kinds
    }


def main(arguments=None):
    """Run the benchmark and print its tables."""
    options = parse_arguments(arguments)
    setting = make_setting(options)
    about = {
        "setting": dataclasses.asdict(setting),
        "processor": _report.processor(),
        "versions": _report.versions(
            "tensorflow", "keras", "torch", "transformers", CTRANSLATE2
        ),
    }
    results = {}
    if options.measure:
        seconds, same = measure(setting, options)
        numbers = tables.summarise(seconds, setting)
        results |= {"results": numbers, "seconds": seconds, "same": same}
        rows = [tables.row(*each, options.measure) for each in numbers.items()]
        print(_report.markdown_table(tables.header(options.measure), rows))
        if any(same.values()):
            print(f"\nTokens that are ours: {tables.describe_same(same)}.")
        print(flush=True)
    lengths = {}
    for length in options.cache_lengths:
        seconds = measure_cache(
            dataclasses.replace(
                setting,
                batch_size=options.cache_batch_size,
                target_length=length,
            ),
            options,
        )
        lengths[length] = {**tables.summarise_cache(seconds), "rounds": seconds}
    if lengths:
        rows = [tables.cache_row(*each) for each in lengths.items()]
        print(f"{options.cache_batch_size} sentences, greedy:\n")
        print(f"{_report.markdown_table(tables.LENGTHS_HEADER, rows)}\n")
        results["lengths"] = lengths
    print(_report.describe(about))
    if options.json:
        options.json.write_text(json.dumps({**about, **results}), "utf-8")


if __name__ == "__main__":
    main()

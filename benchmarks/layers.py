"""The attention layers against what Keras has: time, memory, ratios.

    python -m benchmarks.layers

Three tables: scaled dot-product attention in blocks against
`keras.ops.dot_product_attention`, by length; additive attention in blocks
against the plain formula; `MultiHeadAttention` against that of Keras. Each
contestant runs in a process of its own, in turn, and ratios are medians over
the rounds. Memory is what the first step of a fresh process asks for beyond
its inputs.
"""

import argparse
import os
import statistics
import sys

from benchmarks import _report
from benchmarks._timing import interleave
from benchmarks._timing import ratio
from benchmarks._workers import Worker

HEADER = [
    "setting",
    "step",
    "ours",
    "peer",
    "time, ours / peer",
    "memory, ours",
    "peer",
    "ours / peer",
]
DOT = {"heads": 8, "width": 64}
ADDITIVE = {"batch_size": 16, "length": 512, "units": 256}
MULTI_HEAD = {"batch_size": 16, "length": 197, "dim": 192, "heads": 3}


def settings(names):
    """`(title, task, sizes, kinds of step, other options, whether there is a
    peer)` of each row."""
    rows = []
    for causal in (False, True):
        for length in (512, 1024, 2048, 4096, 8192):
            title = f"dot, {length:,} tokens{', causal' if causal else ''}"
            sizes = {**DOT, "length": length, "causal": causal}
            rows.append((title, "dot", sizes, ["train"], {}, True))
    sizes = {**DOT, "length": 8192, "causal": False}
    rows.append(
        ("dot, 8,192 tokens, XLA", "dot", sizes, ["train"], {"jit": True}, True)
    )
    sizes = {**DOT, "length": 32_768, "causal": False}
    rows.append(("dot, 32,768 tokens", "dot", sizes, ["train"], {}, False))
    for jit in (False, True):
        title = f"additive, 512 tokens{', XLA' if jit else ''}"
        rows.append(
            (title, "additive", ADDITIVE, ["train"], {"jit": jit}, True)
        )
    for precision in ("float32", "mixed_bfloat16"):
        for jit in (False, True):
            title = f"multi-head, {precision}{', XLA' if jit else ''}"
            extra = {"jit": jit, "precision": precision}
            kinds = ["forward", "train"]
            rows.append((title, "multi_head", MULTI_HEAD, kinds, extra, True))
    return [row for row in rows if not names or row[1] in names]


def parse_arguments(arguments=None):
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.layers",
        description="Time the attention layers against those of Keras.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--only", nargs="*", choices=["dot", "additive", "multi_head"])
    add("--match", default="", help="rows whose title has this")
    add("--repeats", type=int, default=5, help="rounds")
    add("--threads", type=int, default=os.cpu_count())
    return parser.parse_args(arguments)


def start(task, who, sizes, threads, extra):
    """A worker."""
    return Worker(
        "benchmarks._layers_contestant",
        threads,
        task=task,
        who=who,
        sizes=sizes,
        num_threads=threads,
        **extra,
    )


def measure(setting, kind, options):
    """One row of the table."""
    title, task, sizes, _, extra, has_peer = setting
    names = ["ours", "plain"] if has_peer else ["ours"]
    memory, workers = {}, {}
    try:
        for name in names:
            worker = start(task, name, sizes, options.threads, extra)
            workers[name] = worker
            memory[name] = worker.call("extra_memory", kind=kind)
        once = {
            n: w.call("time", kind=kind, steps=1) for n, w in workers.items()
        }
        # A round of a contestant takes about a second.
        steps = max(1, round(1 / max(once.values())))
        seconds = interleave(
            {
                name: lambda worker=worker: worker.call(
                    "time", kind=kind, steps=steps
                )
                for name, worker in workers.items()
            },
            options.repeats if has_peer else 1,
        )
    finally:
        for worker in workers.values():
            worker.close()
    cells = [title, kind]
    cells += [f"{1e3 * statistics.median(seconds[n]):,.0f} ms" for n in names]
    if not has_peer:
        return [*cells, "", "", f"{memory['ours']:,.0f} MiB", "", ""]
    return [
        *cells,
        f"{1 / ratio(seconds['plain'], seconds['ours']):.2f}",
        *(f"{memory[name]:,.0f} MiB" for name in names),
        f"1/{memory['plain'] / max(memory['ours'], 1):.1f}",
    ]


def main(arguments=None):
    """Run the benchmark and print its table."""
    options = parse_arguments(arguments)
    rows = []
    for setting in settings(options.only):
        if options.match not in setting[0]:
            continue
        for kind in setting[3]:
            rows.append(measure(setting, kind, options))
            print("  ".join(rows[-1]), file=sys.stderr)
    print(_report.markdown_table(HEADER, rows))
    about = {
        "processor": _report.processor(),
        "versions": _report.versions("tensorflow", "keras"),
    }
    print(f"\n{_report.describe(about)}")


if __name__ == "__main__":
    main()

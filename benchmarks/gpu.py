"""Training steps and attention on a GPU, in TFLOP/s.

    KERAS_BACKEND=jax python -m benchmarks.gpu --out gpu.jsonl

needs `keras` and `jax` alone: no TensorFlow, no data. Everything is in
bfloat16 with float32 weights (`mixed_bfloat16`).

- One training step (cross-entropy, gradients, AdamW) of Vision Transformers:
  the step alone, as the trainer of Keras compiles it, and as
  `model.train_on_batch` runs it.
- `layers.MultiHeadAttention` of a sequence with itself, forward and backward,
  by length, with and without a causal mask: as the layer chooses, with all
  scores at once, and with `flash_attention=True` of Keras in its heart.

The rate is what a formula counts over the time. Only matrix products count,
2 m k n operations for (m, k) by (k, n), and twice as many backward as
forward; nothing that is computed again. For B pictures of P patches of p
numbers, T = P + 1 tokens, L layers of width D and I inside, C classes,

    forward   2 B P p D + L (8 B T D^2 + 4 B T^2 D + 4 B T D I) + 2 B D C
    training  3 forward - 2 B P p D, since pictures need no gradient

and for attention of width D on B sequences of T tokens

    forward and backward  3 (8 B T D^2 + 4 B T^2 D)

where under a causal mask half of 4 B T^2 D counts. Beside it stands the share
of the rate of one product of two large square matrices, the better of two
measurements of the same run, at its start and at its end.
"""

import argparse
import json
import os
import pathlib
import sys

from benchmarks import _report
from benchmarks._products import attention_products
from benchmarks._products import training_flops
from benchmarks._products import vision_products

HEADER = [
    "what",
    "how",
    "time",
    "TFLOP/s",
    "of the matrix product",
    "memory beside inputs and outputs",
]
# Sizes that a processor can do, to see that everything runs.
TINY = {
    "batch_size": 2,
    "image_size": 32,
    "num_classes": 10,
    # The layer computes all scores of the first, and blocks of the last.
    "lengths": [16, 2048],
    "tokens": 2048,
    "heads": 2,
    "key_dim": 8,
    "matrix_size": 128,
    "repeats": 2,
}
TINY_MODEL = {
    "num_layers": 2,
    "num_heads": 2,
    "hidden_dim": 16,
    "intermediate_dim": 32,
}
PRODUCT = "matrix product"


def parse_arguments(arguments=None):
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu",
        description="Rates of training steps and of attention on a GPU.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add(
        "--models",
        nargs="*",
        default=["vision_transformer_base", "vision_transformer_large"],
    )
    add("--batch-size", type=int, default=128, help="pictures of a step")
    add("--image-size", type=int, default=224, help="side in pixels")
    add("--num-classes", type=int, default=1000)
    add(
        "--lengths",
        nargs="*",
        type=int,
        default=[2**power for power in range(10, 16)],
        help="tokens of a sequence",
    )
    add("--tokens", type=int, default=2**15, help="of a batch of sequences")
    add("--heads", type=int, default=16)
    add("--key-dim", type=int, default=64, help="width of a head")
    add("--matrix-size", type=int, default=8192)
    add("--repeats", type=int, default=5, help="rounds, each of a second")
    add("--tiny", action="store_true", help="small sizes, for a processor")
    add("--out", type=pathlib.Path, metavar="FILE", help="lines of JSON")
    if parser.parse_args(arguments).tiny:
        parser.set_defaults(**TINY)
    return parser.parse_args(arguments)


def plan(options, measurements):
    """`(what, how, FLOPs, function that gives a step and its memory)` of each
    row."""
    yield product_row(options, measurements)
    for preset in options.models:
        yield from training_rows(preset, options, measurements)
    for length in options.lengths:
        for causal in (False, True):
            yield from attention_rows(length, causal, options, measurements)
    yield product_row(options, measurements)


def product_row(options, measurements):
    """The row of the matrix product."""
    size = options.matrix_size
    return (
        PRODUCT,
        f"{size:,} x {size:,}",
        2 * size**3,
        lambda: (measurements.matrix_product(size), None),
    )


def training_rows(preset, options, measurements):
    """The rows of a model."""
    overrides = TINY_MODEL if options.tiny else {}
    data = (options.batch_size, options.image_size, options.num_classes)
    products = vision_products(
        *data, **measurements.vision_sizes(preset, overrides)
    )
    flops = training_flops(products)
    for how, method in (
        ("compiled step", "in_one"),
        ("train_on_batch", "on_batch"),
    ):
        yield (
            f"{preset}, {options.batch_size} pictures",
            how,
            flops,
            lambda method=method: getattr(
                measurements.Training(preset, *data, **overrides), method
            )(),
        )


def attention_rows(length, causal, options, measurements):
    """The rows of one length."""
    sizes = (
        max(1, options.tokens // length),
        length,
        options.heads,
        options.key_dim,
    )
    flops = training_flops(attention_products(*sizes), causal)
    title = f"attention, {sizes[0]} x {length:,} tokens"
    for how in measurements.ATTENTION:
        yield (
            f"{title}, causal" if causal else title,
            how,
            flops,
            lambda how=how: measurements.attention(how, *sizes, causal),
        )


def measure(entry, options, measurements):
    """One row, as a dictionary."""
    what, how, flops, make = entry
    found = {"what": what, "how": how, "flops": flops}
    try:
        step, memory = make()
        seconds = measurements.seconds_of(
            step, options.repeats, 0.01 if options.tiny else 1.0
        )
    except Exception as error:
        # Too little memory, or no such kernel here: an answer, too.
        message = str(error).strip() or type(error).__name__
        return {**found, "error": message.splitlines()[0]}
    rate = flops / seconds / 1e12
    return {**found, "seconds": seconds, "tflops": rate, "mebibytes": memory}


def row(found, best):
    """A line of the table.

    Args:
        found: What `measure` gave.
        best: TFLOP/s of the matrix product.
    """
    cells = [found["what"], found["how"]]
    if "error" in found:
        return [*cells, f"no: {found['error'][:60]}", "", "", ""]
    memory = found["mebibytes"]
    return [
        *cells,
        f"{1e3 * found['seconds']:.3g} ms",
        f"{found['tflops']:.3g}",
        f"{found['tflops'] / best:.1%}",
        "" if memory is None else f"{memory:,.0f} MiB",
    ]


def main(arguments=None):
    """Run the benchmark, print lines of JSON and a table."""
    options = parse_arguments(arguments)
    if os.environ.get("KERAS_BACKEND") != "jax":
        sys.exit(
            "This runs on JAX: set KERAS_BACKEND=jax. Received: "
            f"KERAS_BACKEND={os.environ.get('KERAS_BACKEND')}"
        )
    from benchmarks import _gpu_measurements as measurements

    about = {
        "device": measurements.device(),
        "processor": _report.processor(),
        "versions": _report.versions("keras", "jax", "jaxlib", "numpy"),
    }
    lines = [about]
    print(json.dumps(about), flush=True)
    for entry in plan(options, measurements):
        lines.append(measure(entry, options, measurements))
        print(json.dumps(lines[-1]), flush=True)
    if options.out:
        text = "".join(f"{json.dumps(line)}\n" for line in lines)
        options.out.write_text(text, "utf-8")
    rows = lines[1:]
    best = max(found["tflops"] for found in rows if found["what"] == PRODUCT)
    table = _report.markdown_table(HEADER, [row(each, best) for each in rows])
    print(f"\n{table}\n\n{_report.describe(about)}")


if __name__ == "__main__":
    main()

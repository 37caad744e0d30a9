"""Break a mask or a scale, and see a test go red.

    python -m tests.layers.mutations [FILE ...]

copies `layers/` and its tests, makes one change at a time, runs the tests
that are about it until the first failure, and prints a table. A change that
no test notices ends with an error.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

from tqdm import tqdm

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent

GENERIC = "test_query_key_layers"
PATH = "test_attention_path"
# (file, line as it is, line as it is not, tests)
MUTATIONS = [
    # Masks.
    ("masks", "return distance <= 0", "return distance < 0", "test_masks"),
    ("_call_masks", "parts.append(distance <= 0)", "pass", "test_masks"),
    (
        "_call_masks",
        "parts.append(distance <= 0)",
        "parts.append(distance <= 1)",
        "test_masks",
    ),
    (
        "_call_masks",
        "ops.abs(distance) <= self.window_size",
        "ops.abs(distance) < self.window_size",
        "test_attention_properties",
    ),
    (
        "_call_masks",
        "ops.abs(distance) <= self.window_size",
        "distance <= self.window_size",
        "test_attention_properties",
    ),
    (
        "_call_masks",
        "places < self.length",
        "places <= self.length",
        "test_masks",
    ),
    (
        "_call_masks",
        "parts = [self.attention_mask]",
        "parts = []",
        "test_masks",
    ),
    (
        "_call_masks",
        "parts.append(self.key_mask[:, None, None, :])",
        "pass",
        "test_masks",
    ),
    (
        "_call_masks",
        "parts.append(self.query_mask[:, None, :, None])",
        "pass",
        "test_masks",
    ),
    (
        "_call_masks",
        "parts.append(ops.take(pairs, rows_of_pairs, axis=0))",
        "pass",
        PATH,
    ),
    (
        "_call_masks",
        "parts.append(ops.take(self.key_mask, row, axis=0)[None, :])",
        "pass",
        PATH,
    ),
    (
        "_call_masks",
        "parts.append(ops.take(queries, rows, axis=0)[:, None])",
        "pass",
        PATH,
    ),
    ("_call_masks", "0 if num_heads == 1 else head", "0", PATH),
    ("_call_masks", "0 if batch_size == 1 else row", "0", PATH),
    (
        "_call_masks",
        "functools.reduce(ops.logical_and, parts)",
        "functools.reduce(ops.logical_or, parts)",
        "test_masks",
    ),
    ("_call_masks", "return length - query_length", "return 0", "test_masks"),
    (
        "_call_masks",
        "offset=offset + queries.start - keys.start",
        "offset=offset + queries.start",
        PATH,
    ),
    (
        "_heads",
        "ops.repeat(mask, num_heads, axis=0)",
        "ops.tile(mask, (num_heads, 1))",
        "test_multi_head_attention",
    ),
    (
        "masks",
        "logits = ops.where(mask, logits, EXCLUDED)",
        "pass",
        "test_masks",
    ),
    (
        "masks",
        "weights if mask is None else ops.where(mask, weights, 0.0)",
        "weights",
        "test_masks",
    ),
    ("masks", 'if dtype != "bool":', "if False:", "test_masks"),
    ("masks", "ops.not_equal(token_ids", "ops.equal(token_ids", "test_masks"),
    # The blocks.
    (
        "_block_layout",
        "[(self.keys.start, behind), (0, 0)]",
        "[(0, self.keys.start + behind), (0, 0)]",
        PATH,
    ),
    (
        "_blockwise",
        "logits = ops.where(mask, logits, EXCLUDED)",
        "pass",
        PATH,
    ),
    (
        "_blockwise",
        "some = highest > 0.5 * EXCLUDED",
        "some = highest > 2 * EXCLUDED",
        PATH,
    ),
    (
        "_block_layout",
        " * self.shared_by + block // num_blocks",
        " * self.shared_by",
        PATH,
    ),
    (
        "_blockwise",
        "at_logits = scores * (at_scores - delta)",
        "at_logits = scores * at_scores",
        PATH,
    ),
    (
        "_block_dropout",
        "weights / (1.0 - self.rate), 0.0",
        "weights, 0.0",
        PATH,
    ),
    (
        "_block_dropout",
        "first = row * query_length + self.first_query + first",
        "first = row * query_length + first",
        PATH,
    ),
    (
        "_attention_path",
        "last = offset + stop",
        "last = offset + stop - 1",
        PATH,
    ),
    (
        "_attention_path",
        "first = offset + start - given.window_size",
        "first = offset + start - given.window_size + 1",
        PATH,
    ),
    (
        "_attention_path",
        "logits = ops.cast(logits, bias.dtype) + bias",
        "pass",
        "test_multi_head_attention",
    ),
    # Scales.
    (
        "dot_product_attention",
        "query.shape[-1] ** -0.5",
        "query.shape[-1] ** -1.0",
        "test_dot_product_attention",
    ),
    (
        "dot_product_attention",
        "if self.scale:",
        "if True:",
        "test_dot_product_attention",
    ),
    (
        "multi_head_attention",
        "query * self.key_dim**-0.5",
        "query",
        "test_multi_head_attention",
    ),
    (
        "mixture_of_attention_heads",
        "projected * self.key_dim**-0.5",
        "projected",
        "test_mixture_of_attention_heads",
    ),
    (
        "_router",
        "probabilities / ops.stop_gradient(total)",
        "probabilities",
        "test_mixture_of_attention_heads",
    ),
    ("dropout", "inputs / (1.0 - rate)", "inputs", "test_dropout"),
    (
        "attention_pooling",
        "kernel.shape[0] ** -0.5",
        "kernel.shape[0] ** -1.0",
        "test_attention_pooling",
    ),
    (
        "local_attention",
        "ops.exp(-2.0 *",
        "ops.exp(-1.0 *",
        "test_local_attention",
    ),
    (
        "local_attention",
        "ops.abs(distance) <= self.window_size",
        "ops.abs(distance) < self.window_size",
        "test_local_attention",
    ),
    (
        "self_attention_2d",
        "query_mask=mask, key_mask=mask",
        "key_mask=mask",
        "test_self_attention_2d",
    ),
    (
        "self_attention_2d",
        "query_mask=mask, key_mask=mask",
        "query_mask=mask",
        "test_self_attention_2d",
    ),
    # Places in pictures.
    (
        "_grid",
        "(places + 0.5) * scale - 0.5",
        "places * scale",
        "test_position_embedding_2d",
    ),
    (
        "_grid",
        "SHARPNESS = -0.75",
        "SHARPNESS = -0.5",
        "test_position_embedding_2d",
    ),
    (
        "_grid",
        "ops.clip(source, 0, size - 1)",
        "ops.clip(source, 0, size - 2)",
        "test_position_embedding_2d",
    ),
    (
        "rollout",
        "0.5 * weights + 0.5 * unit",
        "weights + 0.5 * unit",
        "test_rollout",
    ),
    (
        "rollout",
        "ops.matmul(step, rollout)",
        "ops.matmul(rollout, step)",
        "test_rollout",
    ),
    (
        "rollout",
        "mixed / ops.sum(mixed, axis=-1, keepdims=True)",
        "mixed",
        "test_rollout",
    ),
    (
        "shifted_patch_embedding",
        "down, across = (size // 2",
        "across, down = (size // 2",
        "test_shifted_patch_embedding",
    ),
]


def source(name):
    """The text of a file of `layers/`."""
    return (ROOT / "layers" / f"{name}.py").read_text("utf-8")


def run(name, old, new, tests):
    """The first test that fails with that change, or None."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for part in ("layers", "tests/layers"):
            shutil.copytree(ROOT / part, folder / part)
        shutil.copy(ROOT / "pyproject.toml", folder)
        path = folder / "layers" / f"{name}.py"
        path.write_text(source(name).replace(old, new, 1), "utf-8")
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "-q", "-x"),
                *("-p", "no:cacheprovider", f"tests/layers/{tests}.py"),
            ],
            cwd=folder,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
            capture_output=True,
            text=True,
        )
    found = re.search(
        r"^(?:FAILED|ERROR) \S+?::(\S+)", done.stdout, re.MULTILINE
    )
    if done.returncode == 1 and found:
        return found[1]
    if done.returncode:
        raise RuntimeError(f"The tests did not run.\n{done.stdout[-2000:]}")
    return None


def main():
    """Run all, or those of the files that are named, and print the table."""
    survived, names = 0, sys.argv[1:]
    chosen = [m for m in MUTATIONS if not names or m[0] in names]
    print("| file | as it is | as it is not | the test that notices |")
    print("|---|---|---|---|")
    for name, old, new, tests in tqdm(chosen, unit="mutation"):
        found = run(name, old, new, tests)
        survived += found is None
        cells = (f"{name}.py", f"`{old}`", f"`{new}`", f"{found or 'NONE'}")
        tqdm.write(f"| {' | '.join(cells)} |")
    if survived:
        sys.exit(f"{survived} changes went unnoticed.")


if __name__ == "__main__":
    main()

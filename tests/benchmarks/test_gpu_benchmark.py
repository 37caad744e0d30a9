"""The benchmark for a GPU, on a processor, in a process with JAX."""

import importlib.util
import json
import os
import pathlib
import subprocess
import sys

import pytest

from benchmarks import gpu

ROOT = pathlib.Path(gpu.__file__).parent.parent
# Whatever of requirements.txt it must do without.
ABSENT = (
    "babel",
    "jsonargparse",
    "matplotlib",
    "pooch",
    "sacrebleu",
    "safetensors",
    "sentencepiece",
    "sklearn",
    "tensorboard",
    "tensorflow",
    "tensorflow_text",
    "torch",
    "yaml",
)
RUN = f"""
import sys
sys.modules.update(dict.fromkeys({ABSENT}))  # None: not there
from benchmarks import gpu
gpu.main(sys.argv[1:])
"""


class Measurements:
    """What `_gpu_measurements` gives, without JAX."""

    ATTENTION = {"as the layer chooses": None, "all scores": None}

    def vision_sizes(self, preset, overrides):
        return {
            "patch_size": 16,
            "num_layers": 12,
            "num_heads": 12,
            "hidden_dim": 768,
            "intermediate_dim": 3072,
            **overrides,
        }

    def seconds_of(self, step, repeats, round_seconds):
        return step()


def test_arguments():
    options = gpu.parse_arguments([])
    assert options.lengths == [1024, 2048, 4096, 8192, 16_384, 32_768]
    assert (options.heads, options.key_dim) == (16, 64)
    tiny = gpu.parse_arguments(["--tiny", "--lengths", "8"])
    assert tiny.lengths == [8]  # what is asked for goes first
    assert tiny.batch_size < options.batch_size


def test_plan_of_the_default_sizes():
    options = gpu.parse_arguments(["--lengths", "1024", "32768"])
    plan = list(gpu.plan(options, Measurements()))
    flops = {(what, how): count for what, how, count, _ in plan}
    assert flops[gpu.PRODUCT, "8,192 x 8,192"] == 2 * 8192**3
    assert plan[0][0] == plan[-1][0] == gpu.PRODUCT
    # ViT-B/16: the usual 17.6 billion multiply-adds of a picture are 35 GFLOP.
    what = "vision_transformer_base, 128 pictures"
    per_picture = flops[what, "compiled step"] / 128
    assert per_picture / 3 == pytest.approx(35.1e9, rel=0.01)
    assert flops[what, "train_on_batch"] == flops[what, "compiled step"]
    # One sequence of T tokens of width 1024.
    projections, scores = 8 * 32_768 * 1024**2, 4 * 32_768**2 * 1024
    what = "attention, 1 x 32,768 tokens"
    assert flops[what, "all scores"] == 3 * (projections + scores)
    causal = 3 * (projections + scores // 2)
    assert flops[f"{what}, causal", "all scores"] == causal
    # As many tokens in all, at each length.
    assert ("attention, 32 x 1,024 tokens", "all scores") in flops


def test_a_row_that_cannot_be_measured_says_why():
    def fail():
        raise MemoryError("out of memory\nat some address")

    options = gpu.parse_arguments(["--tiny"])
    entry = ("attention", "all scores", 10**12, fail)
    found = gpu.measure(entry, options, Measurements())
    assert found["error"] == "out of memory"
    cells = gpu.row(found, best=2.0)
    assert len(cells) == len(gpu.HEADER)
    assert cells[2] == "no: out of memory"


def test_rates_and_cells():
    options = gpu.parse_arguments(["--tiny"])
    # A step that "takes" half a second, and needs 3 GiB.
    entry = ("attention", "all scores", 10**12, lambda: (lambda: 0.5, 3072))
    found = gpu.measure(entry, options, Measurements())
    assert found["tflops"] == 2.0
    cells = gpu.row(found, best=8.0)
    assert cells[2:] == ["500 ms", "2", "25.0%", "3,072 MiB"]


def start(arguments, backend):
    environment = {
        **os.environ,
        "KERAS_BACKEND": backend,
        "XLA_FLAGS": "--xla_backend_optimization_level=0",  # compiles faster
    }
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", RUN, *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )


def test_another_backend_is_refused():
    process = start(["--tiny"], "tensorflow")
    assert process.returncode != 0
    assert process.stderr.endswith("Received: KERAS_BACKEND=tensorflow\n")


@pytest.mark.skipif(
    importlib.util.find_spec("jax") is None, reason="jax is not installed"
)
def test_it_runs_with_keras_and_jax_alone(tmp_path):
    path = tmp_path / "gpu.jsonl"
    model = "vision_transformer_base"
    process = start(
        ["--tiny", "--models", model, "--out", str(path)], backend="jax"
    )
    assert process.returncode == 0, process.stderr
    about, *found = map(json.loads, path.read_text("utf-8").splitlines())
    assert about["versions"]["jax"]
    assert about["device"].startswith("cpu")
    for line in found:
        # The kernel is for NVIDIA's; all the rest runs anywhere.
        if line["how"] == "flash_attention=True":
            assert "cuDNN" in line["error"]
        else:
            assert line["tflops"] > 0, line
    hows = {line["how"] for line in found}
    assert {"compiled step", "train_on_batch", "all scores"} < hows
    printed = process.stdout.splitlines()
    assert [json.loads(line) for line in printed[: len(found) + 1]] == [
        about,
        *found,
    ]
    assert process.stdout.count("\n|") == len(found) + 2
    assert "device: cpu" in printed[-1]

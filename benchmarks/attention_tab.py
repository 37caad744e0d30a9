"""How fast the Attention tab is, in a browser, and how much it weighs.

    python -m benchmarks.attention_tab

Needs requirements-dev.txt and Chromium. Scores are drawn at random. TensorBoard
runs in a process of its own. "appear" is from the choice of a run until its
maps are painted; "hover" from the pointer's move until the value or the lines
are, median and slowest; in the page's own clock. "no more than a frame" is the
same for a change of one colour: what the browser takes in any case, as it
draws without a graphics processor.
"""

import argparse
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

import numpy as np
from playwright.sync_api import sync_playwright

from benchmarks import _report
from summaries import Side
from summaries.score_index import write_scores
from training.hardware import hardware

# Layers, heads, tokens.
SIZES = [(12, 12, 128), (24, 16, 512)]
HEADER = [
    "layers x heads, tokens",
    "file of a step, MB",
    "appear, s",
    "other head, ms",
    "hover of the map, ms",
    "lines appear, ms",
    "hover of the lines, ms",
    "no more than a frame, ms",
]

# What comes after a frame's own functions finds it painted.
_PAINTED = """
const painted = () => new Promise((done) =>
  requestAnimationFrame(() => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = done;
    port2.postMessage("");
  }));
const until = async (isTrue) => {
  while (!isTrue()) await new Promise((done) => setTimeout(done, 1));
};
const spread = (all) => {
  all.sort((a, b) => a - b);
  return [all[Math.floor(all.length / 2)], all.at(-1)];
};
"""
_APPEAR = """async ([run, heads]) => {
  const choice = document.querySelector("[data-control=run]");
  const start = performance.now();
  choice.value = run;
  choice.dispatchEvent(new Event("change"));
  const all = () => document.querySelectorAll(".overview .head").length;
  await until(() => all() === heads && document.querySelector(".map canvas"));
  await painted();
  return performance.now() - start;
}"""
_OTHER_HEAD = """async (count) => {
  const taken = [];
  for (let head = 1; head <= count; head++) {
    const start = performance.now();
    document.querySelector(`[data-layer="1"][data-head="${head}"]`).click();
    const name = `head ${head}`;
    const caption = () => document.querySelector(".map figcaption").textContent;
    await until(() => caption().includes(name));
    await painted();
    taken.push(performance.now() - start);
  }
  return spread(taken);
}"""
_HOVER_MAP = """async (count) => {
  const canvas = document.querySelector(".map .plot canvas");
  const readout = document.querySelector(".map .readout");
  const taken = [];
  for (let n = 0; n < count; n++) {
    const box = canvas.getBoundingClientRect();
    const before = readout.textContent;
    const start = performance.now();
    canvas.dispatchEvent(new PointerEvent("pointermove", {
      bubbles: true,
      clientX: box.left + ((n + 0.5) * box.width) / count,
      clientY: box.top + ((n + 0.5) * box.height) / count,
    }));
    await until(() => readout.textContent !== before);
    await painted();
    taken.push(performance.now() - start);
  }
  return spread(taken);
}"""
_ONE_COLOR = """async (count) => {
  const taken = [];
  for (let n = 0; n < count; n++) {
    const start = performance.now();
    document.querySelector("h2").style.color = n % 2 ? "red" : "blue";
    await painted();
    taken.push(performance.now() - start);
  }
  return spread(taken);
}"""
_LINES = """async () => {
  const start = performance.now();
  document.querySelector("[data-control=view-lines]").click();
  await until(() => document.querySelector(".lines svg path"));
  await painted();
  return performance.now() - start;
}"""
_HOVER_LINES = """async (count) => {
  for (const chip of document.querySelectorAll(".lines .chip")) {
    if (chip.getAttribute("aria-pressed") === "false") chip.click();
  }
  await painted();
  const words = document.querySelectorAll(".words.queries button");
  const taken = [];
  for (let n = 0; n < count; n++) {
    const start = performance.now();
    words[n].dispatchEvent(new PointerEvent("pointerenter"));
    await until(() => words[n].classList.contains("pointed"));
    await painted();
    taken.push(performance.now() - start);
  }
  return spread(taken);
}"""


def parse_arguments(arguments=None):
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.attention_tab",
        description="Time the Attention tab in a browser.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--hovers", type=int, default=20, help="of each kind")
    add("--browser", default="chromium", help="its command")
    return parser.parse_args(arguments)


def write_run(folder, layers, heads, length):
    """Write one step of such a model; gives the bytes of its file."""
    generator = np.random.default_rng(0)
    scores = {}
    for layer in range(layers):
        weights = generator.exponential(size=(1, heads, length, length)) ** 4
        weights = weights.astype("float32")
        weights /= weights.sum(axis=-1, keepdims=True)
        scores[f"encoder/{layer}/self"] = weights
    side = Side([[f"token{place}" for place in range(length)]])
    path = write_scores(folder, scores, lambda _: (side, side), 0)
    return path.stat().st_size


def measure(page, run, size, hovers):
    """The times of one model, ms."""
    layers, heads, _ = size

    def evaluate(script, *argument):
        called = f"({script})".replace("=> {", "=> {" + _PAINTED, 1)
        return page.evaluate(called, *argument)

    return (
        evaluate(_APPEAR, [run, layers * heads]) / 1000,
        evaluate(_OTHER_HEAD, min(heads - 1, hovers)),
        evaluate(_HOVER_MAP, hovers),
        evaluate(_LINES),
        evaluate(_HOVER_LINES, hovers),
        evaluate(_ONE_COLOR, hovers),
    )


def start_tensorboard(folder):
    """The process of TensorBoard and its address."""
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "tensorboard.main", "--logdir", folder),
            *("--host", "127.0.0.1", "--port", "0"),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    for line in process.stderr:
        found = re.search(r"TensorBoard \S+ at (http://\S+)", line)
        if found:
            return process, found[1].rstrip("/")
    raise RuntimeError("TensorBoard did not start.")


def _milliseconds(value):
    """A time, or median and slowest of several."""
    if isinstance(value, list):
        return " / ".join(f"{time_:.0f}" for time_ in value)
    return f"{value:.0f}"


def main():
    """Print the table and the bytes of the page."""
    arguments = parse_arguments()
    browser_path = shutil.which(arguments.browser)
    if browser_path is None:
        sys.exit(f"There is no browser of that name: {arguments.browser}")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        small = (1, 1, 4)
        write_run(root / "small", *small)
        sizes = [
            write_run(root / f"run{n}", *size) for n, size in enumerate(SIZES)
        ]
        process, address = start_tensorboard(folder)
        try:
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(
                    executable_path=browser_path, args=["--no-sandbox"]
                )
                version = browser.version
                for n, size in enumerate(SIZES):
                    page = browser.new_page()
                    page.goto(f"{address}/#attention&p.attention.run=small")
                    page.frame_locator("iframe").locator(".map").wait_for()
                    time.sleep(1)  # TensorBoard's own page
                    inside = page.frames[-1]
                    times = measure(inside, f"run{n}", size, arguments.hovers)
                    page.close()
                    layers, heads, length = size
                    rows.append(
                        [
                            f"{layers} x {heads}, {length}",
                            f"{sizes[n] / 1e6:.1f}",
                            f"{times[0]:.2f}",
                            *map(_milliseconds, times[1:]),
                        ]
                    )
                browser.close()
        finally:
            process.terminate()
            process.wait()
    about = {
        "hardware": hardware(),
        "versions": _report.versions("tensorboard", "playwright"),
        "browser": f"Chromium {version}",
    }
    print(_report.describe(about), end="\n\n")
    print(_report.markdown_table(HEADER, rows), end="\n\n")
    page = pathlib.Path(__file__).parents[1] / "summaries" / "page"
    print(f"page: {sum(p.stat().st_size for p in page.iterdir()):,} bytes")


if __name__ == "__main__":
    main()

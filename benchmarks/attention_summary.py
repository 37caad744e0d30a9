"""What watching the attention costs a fit, in time and on disk.

    python -m benchmarks.attention_summary

Keras' own `fit` of the reader of digits that comes with the repository, from
a new start on its own training data: with `summaries.AttentionSummary` after
each epoch and without, in turn; the median of the rounds. The callback draws
maps of two samples for each layer and keeps the scores of four.
"""

import argparse
import functools
import json
import pathlib
import statistics
import sys
import tempfile
import time

import zoo
from benchmarks import _report
from benchmarks import _timing
from summaries import AttentionSummary
from training.configuration import configuration_of
from training.hardware import hardware
from training.task import load_task

HEADER = ["fit of {epochs} epochs", "seconds", "ratio", "events", "scores"]
# How many samples the callback draws; None is without it.
KINDS = {
    "without the callback": None,
    "scores for the tab": 0,
    "the same, and maps of two samples": 2,
}
_SHIPPED = "saved_models/vision_transformer_tiny_digits/1/model_card.json"


def parse_arguments(arguments=None):
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.attention_summary",
        description="Time a fit with its attention watched, and without.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--epochs", type=int, default=50)
    add("--repeats", type=int, default=3)
    return parser.parse_args(arguments)


class Watched:
    """The reader of digits, its data, and fits of it."""

    def __init__(self, epochs):
        card = pathlib.Path(__file__).parents[1] / _SHIPPED
        configuration = configuration_of(
            json.loads(card.read_text("utf-8"))["configuration"]
        )
        task = load_task(configuration)
        options = vars(configuration.preprocessing)
        preprocessor = task.train_preprocessor(options)
        train = task.splits["train"]
        pictures, _ = preprocessor.decode(train.select(range(len(train))))
        self.images = preprocessor.normalize(pictures)
        self.labels = task.labels(preprocessor, "train")
        self.new_model = functools.partial(
            zoo.create_model,
            configuration.preset,
            **{**configuration.model, **task.sizes(preprocessor)},
        )
        self.samples = task.samples(self._model(), preprocessor)
        self.epochs = epochs
        self.bytes = {}

    def _model(self):
        model = self.new_model()
        # XLA is slow with the gradients of convolutions on a CPU.
        model.compile(
            "adam", "sparse_categorical_crossentropy", jit_compile=False
        )
        model(self.images[:1])
        return model

    def fit(self, max_images):
        """Seconds of one fit; the first epoch, which compiles, does not
        count. None for `max_images` is without the callback."""
        model = self._model()
        fit = functools.partial(model.fit, self.images, self.labels, verbose=0)
        fit(epochs=1)
        with tempfile.TemporaryDirectory() as folder:
            callbacks = []
            if max_images is not None:
                callbacks = [
                    AttentionSummary(
                        folder, self.samples, max_images=max_images
                    )
                ]
            start = time.perf_counter()
            fit(epochs=self.epochs, callbacks=callbacks)
            seconds = time.perf_counter() - start
            self.bytes[max_images] = bytes_of(folder)
        return seconds


def bytes_of(folder):
    """Bytes of the events, and of the scores beside them."""
    files = [path for path in pathlib.Path(folder).rglob("*") if path.is_file()]
    scores = [path for path in files if "plugins" in path.parts]
    events = [path for path in files if "plugins" not in path.parts]
    return {
        name: sum(path.stat().st_size for path in paths)
        for name, paths in (("events", events), ("scores", scores))
    }


def main():
    """Print the table and the bytes on disk."""
    arguments = parse_arguments()
    watched = Watched(arguments.epochs)
    actions = {
        name: functools.partial(watched.fit, max_images)
        for name, max_images in KINDS.items()
    }
    seconds = _timing.interleave(
        actions,
        arguments.repeats,
        lambda number: print(
            f"round {number} of {arguments.repeats}", file=sys.stderr
        ),
    )
    medians = {name: statistics.median(all_) for name, all_ in seconds.items()}
    first = next(iter(KINDS))
    rows = [
        [
            name,
            f"{medians[name]:.1f}",
            f"{medians[name] / medians[first]:.2f}",
            *(f"{size:,}" for size in watched.bytes[max_images].values()),
        ]
        for name, max_images in KINDS.items()
    ]
    about = {
        "hardware": hardware(),
        "versions": _report.versions("tensorflow", "keras"),
        "on disk": "events and scores in bytes",
    }
    header = [HEADER[0].format(epochs=arguments.epochs), *HEADER[1:]]
    print(_report.describe(about), end="\n\n")
    print(_report.markdown_table(header, rows))


if __name__ == "__main__":
    main()

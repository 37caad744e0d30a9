"""Whether a picture's class depends on the patches that attention names.

    python -m benchmarks.deletion RUN

For each test picture the patch tokens that a map ranks highest are left out,
and the probability of the right class falls by so much. Maps are compared on
the same pictures and with the same number of patches:

- rollout: attention rollout (Abnar and Zuidema, 2020);
- last layer: what was pooled from the attention of the last layer alone;
- mean rollout: the mean map of the validation pictures, the same for all,
  since objects lie in the middle;
- random: patches that are not blank, drawn at random. Where there are too few
  of them, blank ones are drawn for the rest.

Intervals are 95 % bootstrap intervals over the pictures; differences to
rollout are of the same picture.
"""

import argparse

import numpy as np
import tensorflow as tf
import tqdm

import zoo
from benchmarks import _report
from training.configuration import configuration_of
from training.configuration import ConfigurationError
from training.configuration import DATA_DIR_HELP
from training.hardware import hardware
from training.run import Run
from training.task import load_task

HEADER = [
    "patches left out by",
    "fall of the right class's probability",
    "rollout's fall less this",
]
_BATCH = 256
_RESAMPLES = 2000


def parse_arguments(arguments=None):
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.deletion",
        description="Leave out the patches that attention names.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("run", help="folder of a fitted run")
    add("--split", default="test", choices=["validation", "test"])
    add("--share", type=float, default=0.2, help="of the patches")
    add("--seed", type=int, default=0)
    add("--data_dir", help=DATA_DIR_HELP)
    return parser.parse_args(arguments)


def kept(ranks, count):
    """Which patches stay when the highest are left out.

    Args:
        ranks: `(num_images, num_patches)`; the higher, the sooner left out.
        count: How many are left out.

    Returns:
        Boolean, of the same shape.
    """
    order = np.argsort(-ranks, axis=1, kind="stable")
    mask = np.ones(ranks.shape, bool)
    np.put_along_axis(mask, order[:, :count], False, axis=1)
    return mask


def random_ranks(blank, generator):
    """An order by chance of the patches that are not blank, the others last.

    Args:
        blank: Boolean `(num_images, num_patches)`.
        generator: A NumPy generator.
    """
    return generator.uniform(size=blank.shape) - blank


def blank_patches(images, grid_shape):
    """Which patches have one value throughout.

    Args:
        images: `(num_images, height, width, channels)`.
        grid_shape: Rows and columns of patches, which divide the picture.

    Returns:
        Boolean `(num_images, num_patches)`, row by row.

    Raises:
        ConfigurationError: If they do not divide it.
    """
    count, height, width, channels = images.shape
    rows, columns = grid_shape
    if height % rows or width % columns:
        raise ConfigurationError(
            "Rows and columns of patches must divide the picture, or there "
            "are no patches to leave out. Received: picture of "
            f"{height} x {width} pixels, {rows} x {columns} patches"
        )
    # (N, rows, height of a patch, columns, width of a patch, C)
    patches = images.reshape(
        (count, rows, height // rows, columns, width // columns, channels)
    )
    pixels = patches.transpose(0, 1, 3, 2, 4, 5).reshape(
        (count, rows * columns, -1)
    )
    return pixels.max(axis=-1) == pixels.min(axis=-1)


def interval(values, generator):
    """Mean of the values, and its 95 % bootstrap interval."""
    rows = generator.integers(0, len(values), (_RESAMPLES, len(values)))
    means = np.array([values[row].mean() for row in rows])
    return values.mean(), *np.quantile(means, [0.025, 0.975])


class Maps:
    """Probabilities and maps of a model's pictures.

    Args:
        model: A `VisionTransformer`.
        preprocessor: Its `ImagePreprocessor`.
    """

    def __init__(self, model, preprocessor):
        self.model = model
        self.preprocessor = preprocessor
        self._look = tf.function(self._look_at, reduce_retracing=True)
        self._classify = tf.function(self._probabilities, reduce_retracing=True)

    def look(self, images):
        """Inputs, rollout and last layer, each flat over the patches."""
        inputs, _ = self.preprocessor.encode(images)
        rollout, last = self._look(inputs)
        return inputs, rollout.numpy(), last.numpy()

    def probabilities(self, inputs, mask):
        """Of all classes, with only some of the patches.

        Args:
            inputs: What the model is called on.
            mask: Boolean `(batch_size, num_patches)`, those that stay.
        """
        prefix = self.model.num_prefix_tokens
        mask = np.pad(mask, [(0, 0), (prefix, 0)], constant_values=True)
        return self._classify(inputs, tf.constant(mask)).numpy()

    def _probabilities(self, inputs, mask):
        return tf.nn.softmax(self.model(inputs, token_mask=mask))

    def _look_at(self, inputs):
        scores = self.model.attention_scores(inputs)
        rollout = self.model.rollout(inputs, scores=scores)
        rollout = tf.reshape(rollout, [tf.shape(rollout)[0], -1])
        last = tf.reduce_mean(
            scores[f"encoder/{self.model.num_layers - 1}/self"], axis=1
        )
        prefix = self.model.num_prefix_tokens
        if self.model.pooling == "class_token":
            return rollout, last[:, 0, prefix:]
        weights = tf.fill(tf.shape(last)[:2], 1.0)
        if self.model.pooling == "attention":
            weights = scores["pooling"][:, 0, 0]
        # BT,BTS->BS
        return rollout, tf.linalg.matvec(last, weights, transpose_a=True)


def measure(maps, task, preprocessor, split, share, seed):
    """The fall of the right class's probability, `{map: (num_images,)}`."""
    generator = np.random.default_rng(seed)
    empty = np.zeros((1, *preprocessor.image_shape), np.float32)
    blank_patches(empty, maps.model.grid_shape_of(empty))  # or an error, now
    validation = task.splits["validation"]
    total, count = 0.0, 0
    for start in range(0, len(validation), _BATCH):
        _, rollout, _ = maps.look(
            validation.select(slice(start, start + _BATCH))
        )
        total, count = total + rollout.sum(axis=0), count + len(rollout)
    mean_map = total / count
    num_dropped = round(share * len(mean_map))
    labels = task.labels(preprocessor, split)
    falls = {"rollout": [], "last layer": [], "mean rollout": [], "random": []}
    for start in tqdm.trange(0, len(labels), _BATCH, unit="batch"):
        rows = slice(start, start + _BATCH)
        images = task.splits[split].select(rows)
        inputs, rollout, last = maps.look(images)
        decoded = preprocessor.decode(images)[0].numpy()
        blank = blank_patches(decoded, maps.model.grid_shape_of(inputs))
        right = (np.arange(len(rollout)), labels[rows])
        whole = maps.probabilities(inputs, np.ones(rollout.shape, bool))[right]
        for name, ranks in (
            ("rollout", rollout),
            ("last layer", last),
            ("mean rollout", np.broadcast_to(mean_map, rollout.shape)),
            ("random", random_ranks(blank, generator)),
        ):
            mask = kept(ranks, num_dropped)
            without = maps.probabilities(inputs, mask)[right]
            falls[name].append(whole - without)
    return {name: np.concatenate(parts) for name, parts in falls.items()}


def table(falls, seed=0):
    """The rows of the table."""
    rows = []
    for name, values in falls.items():
        generator = np.random.default_rng(seed)
        cells = [name, _shown(*interval(values, generator))]
        if name != "rollout":
            difference = falls["rollout"] - values
            cells.append(_shown(*interval(difference, generator)))
        rows.append([*cells, *[""] * (len(HEADER) - len(cells))])
    return rows


def _shown(mean, low, high):
    return f"{mean:.4f} ({low:.4f} to {high:.4f})"


def main(arguments=None):
    """Run the test and print its table.

    A test on the test split is noted in the run, as an evaluation is.
    """
    options = parse_arguments(arguments)
    run = Run.find(options.run)
    configuration = configuration_of(run.config)
    model = zoo.get_preset(configuration.preset).model
    if model.task != "image_classification":
        raise ConfigurationError(
            "Patches are those of classifiers of pictures. "
            f"Received: run={options.run}, for {model.task}"
        )
    task = load_task(configuration, options.data_dir, [options.split])
    preprocessor = run.load_preprocessor()
    falls = measure(
        Maps(run.load_model(), preprocessor),
        task,
        preprocessor,
        options.split,
        options.share,
        options.seed,
    )
    count = len(falls["rollout"])
    if options.split == "test":
        run.add_test_run(
            {
                "hardware": hardware(),
                "benchmark": "deletion",
                "share": options.share,
                "seed": options.seed,
                "falls": {k: float(v.mean()) for k, v in falls.items()},
                task.scored: count,
            }
        )
    print(f"{count:,} pictures, {options.share:.0%} of the patches left out\n")
    print(_report.markdown_table(HEADER, table(falls, options.seed)))


if __name__ == "__main__":
    main()

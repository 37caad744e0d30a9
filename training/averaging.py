"""The mean of the weights of several epochs (checkpoint averaging)."""

import re

import numpy as np

from training.fit import best_epoch
from training.fit import is_better
from training.resume import write_atomically

_NAME = re.compile(r"epoch_(\d+)\.npz")


class EpochWeights:
    """Keeps the weights of the last epochs, to average them in the end.

    Args:
        directory: Folder of the files, one an epoch.
        model: The built Keras model.
        count: Number of epochs.
    """

    def __init__(self, directory, model, count):
        self.directory = directory
        self.model = model
        self.count = count

    def save(self, epoch):
        """Keep the weights after an epoch, number `epoch` from 0, and forget
        those before the last ones."""
        path = self.directory / f"epoch_{epoch}.npz"
        weights = self.model.get_weights()
        write_atomically(path, lambda file: np.savez(file, *weights))
        for number, path in self.files().items():
            if number <= epoch - self.count:
                path.unlink()

    def mean(self):
        """The mean of what was kept, as `set_weights` takes it."""
        files = self.files().values()
        # In float64: the sum of a few float32 is then exact enough.
        sums = [np.zeros(w.shape) for w in self.model.get_weights()]
        for path in files:
            with np.load(path) as content:
                for summed, name in zip(sums, content.files):
                    summed += content[name]
        return [summed / len(files) for summed in sums]

    def files(self):
        """The files, by the number of their epoch."""
        found = {
            int(match[1]): path
            for path in self.directory.glob("epoch_*.npz")
            if (match := _NAME.fullmatch(path.name))
        }
        return dict(sorted(found.items()))


def average_epochs(weights, recipe, evaluate, history, path):
    """Score the mean of the last epochs, and keep it if it is the best.

    Args:
        weights: The `EpochWeights`; their model has the mean afterwards.
        recipe: The `Recipe`.
        evaluate: Function without arguments that gives the scores.
        history: The scores of each epoch.
        path: Where the best model is kept.

    Returns:
        Its scores, and whether it is kept.

    Reference:
        [Vaswani et al., 2017](https://arxiv.org/abs/1706.03762), section
        6.1.
    """
    model = weights.model
    model.set_weights(weights.mean())
    scores = evaluate()
    metric = recipe.validation_metric
    _, best = best_epoch(metric, history)
    kept = is_better(metric, scores[metric], best)
    if kept:
        write_atomically(path, model.save)
    return scores, kept

"""Handwritten digits of 8 by 8 pixels, from the package scikit-learn.

1,797 digits of 13 persons, the test part of a larger set of 1998. Nothing is
downloaded. Published figures are means over several random splits, hence the
option `fold`.
"""

import random

import numpy as np

from datasets._classes import pixels_dataset
from datasets._registry import LoadedDataset
from datasets._registry import register
from datasets._splits import check_fractions

_NUM_FOLDS = 5
# The ink of a pixel, 0 to 16, is how many of its 4 by 4 points are black.
_MOST_INK = 16


@register("digits")
def digits(fold: int = 0, validation_fraction: float = 0.1, seed: int = 0):
    """Loads the digits, a fifth of them for the test.

    Args:
        fold: Which fifth, 0 to 4. The five share no digit and have as many
            of each class as possible.
        validation_fraction: Share of the rest that is held out for
            validation, of each class.
        seed: Seed of the folds and of what is held out.

    Returns:
        A `LoadedDataset`. Images are `(8, 8, 1)`, bright ink on black.

    Raises:
        ValueError: `fold` or a fraction is out of its range.
    """
    # Takes a second to import, which the other data sets need not wait for.
    from sklearn.datasets import load_digits
    from sklearn.model_selection import StratifiedKFold

    check_fractions({"validation": validation_fraction})
    if not 0 <= fold < _NUM_FOLDS:
        raise ValueError(
            f"There are folds 0 to {_NUM_FOLDS - 1}. Received: fold={fold}"
        )
    bunch = load_digits()
    ink, labels = bunch.images, bunch.target
    pixels = np.round(ink * (255 / _MOST_INK)).astype("uint8")[..., None]
    folds = StratifiedKFold(_NUM_FOLDS, shuffle=True, random_state=seed)
    rest, test = list(folds.split(pixels, labels))[fold]
    train, validation = _hold_out(labels[rest], validation_fraction, seed)
    rows = {"train": rest[train], "validation": rest[validation], "test": test}
    return LoadedDataset(
        name="digits",
        task="image_classification",
        description="Handwritten digits, 8 by 8 pixels.",
        class_names=tuple("0123456789"),
        licence="CC BY 4.0 (data), BSD 3-Clause (scikit-learn)",
        url="https://archive.ics.uci.edu/dataset/80",
        citation=(
            "Alpaydin and Kaynak (1998), Optical Recognition of Handwritten "
            "Digits, UCI Machine Learning Repository"
        ),
        splits={
            split: pixels_dataset(pixels[rows[split]], labels[rows[split]])
            for split in ("train", "validation", "test")
        },
    )


def _hold_out(labels, fraction, seed):
    """Returns two lists of numbers of examples, shuffled: those to train on,
    and of each class the fraction to hold out."""
    generator = random.Random(seed)
    train, held_out = [], []
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label).tolist()
        generator.shuffle(members)
        count = max(1, round(fraction * len(members)))
        held_out += members[:count]
        train += members[count:]
    for numbers in (train, held_out):
        generator.shuffle(numbers)
    return train, held_out

import collections
import itertools

import numpy as np
import pytest
from sklearn.datasets import load_digits

import datasets


def rows(split):
    """The labels and pixels of a split, as hashable rows."""
    return [
        (int(example["label"]), example["image"].tobytes())
        for example in split.as_numpy_iterator()
    ]


@pytest.fixture(scope="module")
def loaded():
    return datasets.load("digits")


def test_what_is_loaded(loaded):
    assert loaded.task == "image_classification"
    assert loaded.class_names == tuple("0123456789")
    sizes = {name: int(x.cardinality()) for name, x in loaded.splits.items()}
    assert sizes["test"] == 360
    assert sum(sizes.values()) == 1797
    assert abs(sizes["validation"] - 143.7) < 3
    example = next(loaded.splits["train"].as_numpy_iterator())
    assert example["image"].shape == (8, 8, 1)
    assert example["image"].dtype == np.uint8
    assert example["label"].dtype == np.int32


def test_all_digits_with_their_labels(loaded):
    # Ink 0 to 16 becomes 0 to 255: a digit of the file, computed by hand.
    bunch = load_digits()
    expected = [
        (int(label), bytes(int(ink * 255 / 16 + 0.5) for ink in image))
        for label, image in zip(bunch.target, bunch.data)
    ]
    assert expected[0][1][2:6] == bytes([80, 207, 143, 16])
    found = [row for split in loaded.splits.values() for row in rows(split)]
    assert collections.Counter(found) == collections.Counter(expected)


def test_splits_are_stratified_and_disjoint(loaded):
    sets = {name: rows(split) for name, split in loaded.splits.items()}
    assert not set(sets["train"]) & set(sets["test"])
    assert not set(sets["train"]) & set(sets["validation"])
    for name, share in (("test", 0.2), ("validation", 0.08)):
        counts = collections.Counter(label for label, _ in sets[name])
        total = collections.Counter(load_digits().target.tolist())
        for label in range(10):
            assert abs(counts[label] - share * total[label]) <= 1.5


def test_the_five_tests_are_all_digits():
    tests = [
        rows(datasets.load("digits", fold=fold).splits["test"])
        for fold in range(5)
    ]
    assert len(set(itertools.chain(*tests))) == 1797
    assert sum(map(len, tests)) == 1797


@pytest.mark.parametrize(
    "options, message",
    [
        ({"fold": 5}, "Received: fold=5"),
        ({"fold": -1}, "Received: fold=-1"),
        ({"validation_fraction": 0}, "Received: validation_fraction=0"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        datasets.load("digits", **options)

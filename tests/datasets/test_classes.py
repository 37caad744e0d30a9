import collections
import itertools

import pytest

import datasets
from datasets._classes import in_natural_order
from datasets._classes import split_by_class

LABELS = ["a"] * 40 + ["b"] * 10 + ["c"] * 20
KEYS = list(range(70))


def split(fractions, labels=LABELS, keys=KEYS, seed=0):
    return split_by_class(labels, keys, fractions, seed)


def test_each_class_has_its_share():
    splits, too_few = split({"validation": 0.1, "test": 0.2})
    counts = {
        name: collections.Counter(LABELS[number] for number in numbers)
        for name, numbers in splits.items()
    }
    assert counts == {
        "train": {"a": 28, "b": 7, "c": 14},
        "validation": {"a": 4, "b": 1, "c": 2},
        "test": {"a": 8, "b": 2, "c": 4},
    }
    assert sorted(itertools.chain(*splits.values())) == KEYS
    assert too_few == []


def test_the_order_is_mixed_and_depends_on_the_seed():
    fractions = {"test": 0.2}
    first = split(fractions)
    assert first == split(fractions)
    assert first != split(fractions, seed=1)
    train = [LABELS[number] for number in first[0]["train"]]
    assert train != sorted(train)
    assert set(first[0]) == {"train", "test"}


def test_examples_with_one_key_are_in_one_split():
    keys = [number // 2 for number in KEYS]
    for seed in range(5):
        splits, _ = split(
            {"validation": 0.3, "test": 0.3}, keys=keys, seed=seed
        )
        holders = collections.defaultdict(set)
        for name, numbers in splits.items():
            for number in numbers:
                holders[keys[number]].add(name)
        assert {len(names) for names in holders.values()} == {1}
        assert sorted(itertools.chain(*splits.values())) == KEYS


def test_contradictions_are_not_held_out():
    labels = [*LABELS, "b", "d"]
    keys = [*KEYS, 0, 1]
    for seed in range(5):
        splits, _ = split({"test": 0.5}, labels, keys, seed)
        assert {0, 1, 70, 71} <= set(splits["train"])
        assert len(splits["test"]) == 19 + 5 + 10


def test_a_small_class_has_one_in_each_split():
    splits, too_few = split(
        {"validation": 0.1, "test": 0.1}, ["a"] * 3 + ["b"] * 3, range(6)
    )
    for name in ("train", "validation", "test"):
        assert sorted(number // 3 for number in splits[name]) == [0, 1]
    assert too_few == []


def test_a_class_that_is_too_small_is_for_training():
    labels = ["a"] * 10 + ["rare"] * 2 + ["copies"] * 5
    keys = [*range(12), *[99] * 5]
    splits, too_few = split({"test": 0.2}, labels, keys)
    assert too_few == ["copies", "rare"]
    assert set(range(10, 17)) <= set(splits["train"])
    # With nothing to hold out it is not too small.
    assert split({}, labels, keys)[1] == []


def test_nothing_to_train_on():
    with pytest.raises(
        datasets.DataError, match=r"too few .*label='b', 10 examples"
    ):
        split({"validation": 0.5, "test": 0.5}, LABELS[40:], range(30))
    with pytest.raises(ValueError, match="Received: test_fraction=1"):
        split({"test": 1})


def test_natural_order():
    assert in_natural_order(["10", "9", "9", "010"]) == ["9", "010", "10"]
    assert in_natural_order(["10", "9", "a"]) == ["10", "9", "a"]

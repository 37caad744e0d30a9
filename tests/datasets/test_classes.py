import collections
import itertools

import pytest

from datasets._classes import in_natural_order
from datasets._classes import split_by_class

LABELS = ["a"] * 400 + ["b"] * 100 + ["c"] * 200
NUMBERS = list(range(700))
KEYS = [f"text {number}" for number in NUMBERS]


def split(fractions, labels=LABELS, keys=KEYS, seed=0):
    return split_by_class(labels, keys, fractions, seed)


def test_each_class_has_its_share():
    splits, too_few = split({"test": 0.2, "validation": 0.1})
    for name, share in (("train", 0.7), ("test", 0.2), ("validation", 0.1)):
        counts = collections.Counter(LABELS[row] for row in splits[name])
        for label, number in collections.Counter(LABELS).items():
            # Four standard deviations of a draw.
            most = 4 * (number * share * (1 - share)) ** 0.5
            assert abs(counts[label] - number * share) < most
    assert sorted(itertools.chain(*splits.values())) == NUMBERS
    assert too_few == []


def test_the_order_is_mixed_and_depends_on_the_seed():
    fractions = {"test": 0.2}
    first = split(fractions)
    assert first == split(fractions)
    assert first != split(fractions, seed=1)
    train = [LABELS[number] for number in first[0]["train"]]
    assert train != sorted(train)
    assert set(first[0]) == {"train", "test"}


def test_a_row_more_moves_no_other():
    fractions = {"test": 0.2, "validation": 0.1}
    before, _ = split(fractions)
    after, _ = split(fractions, ["b", *LABELS[::-1]], ["new", *KEYS[::-1]])
    for name, numbers in before.items():
        found = {700 - number for number in after[name]} - {700}
        assert found == set(numbers)


def test_examples_with_one_key_are_in_one_split():
    keys = [f"text {number // 2}" for number in NUMBERS]
    for seed in range(5):
        splits, _ = split(
            {"validation": 0.3, "test": 0.3}, keys=keys, seed=seed
        )
        holders = collections.defaultdict(set)
        for name, numbers in splits.items():
            for number in numbers:
                holders[keys[number]].add(name)
        assert {len(names) for names in holders.values()} == {1}
        assert sorted(itertools.chain(*splits.values())) == NUMBERS


def test_contradictions_are_not_held_out():
    labels = [*LABELS, "b", "d"]
    keys = [*KEYS, *KEYS[:2]]
    for seed in range(5):
        splits, _ = split({"test": 0.5}, labels, keys, seed)
        assert {0, 1, 700, 701} <= set(splits["train"])


def test_a_small_class_has_one_in_each_split():
    splits, too_few = split(
        {"validation": 0.1, "test": 0.1}, ["a"] * 3 + ["b"] * 3, list("pqrstu")
    )
    for name in ("train", "validation", "test"):
        assert sorted(number // 3 for number in splits[name]) == [0, 1]
    assert too_few == []


def test_a_class_that_is_too_small_is_for_training():
    labels = ["a"] * 10 + ["rare"] * 2 + ["copies"] * 5
    keys = [*map(str, range(12)), *["same"] * 5]
    splits, too_few = split({"test": 0.2}, labels, keys)
    assert too_few == ["copies", "rare"]
    assert set(range(10, 17)) <= set(splits["train"])
    # With nothing to hold out it is not too small.
    assert split({}, labels, keys)[1] == []


def test_nothing_to_train_on():
    with pytest.raises(ValueError, match=r"below 1.*validation_fraction=0\.5"):
        split({"validation": 0.5, "test": 0.5})
    with pytest.raises(ValueError, match="Received: test_fraction=1"):
        split({"test": 1})


def test_natural_order():
    assert in_natural_order(["10", "9", "9", "010"]) == ["9", "010", "10"]
    assert in_natural_order(["10", "9", "a"]) == ["10", "9", "a"]

import collections
import random

import pytest

import datasets
from datasets._splits import check_fractions
from datasets._splits import place_of
from datasets._splits import split_by_place

FRACTIONS = {"test": 0.1, "validation": 0.2}
# An addition may move an example in this direction only.
ORDER = ("test", "validation", "train")


def splits_of(keys, fractions=FRACTIONS, seed=0):
    splits = split_by_place(keys, fractions, seed)
    return {key: name for name, keys in splits.items() for key in keys}


def test_places_are_of_key_and_seed():
    assert place_of("a", 0) == place_of(b"a", 0) != place_of("a", 1)
    # They may never change: BLAKE2b of 8 bytes with the seed as its key.
    assert place_of("a", 0) == int("826ec2ade9867d14", 16) / 2**64
    places = [place_of(str(number), 0) for number in range(4000)]
    assert 0 <= min(places) < 0.01 and 0.99 < max(places) < 1


def test_shares_are_met_up_to_chance():
    counts = collections.Counter(splits_of(map(str, range(4000))).values())
    assert abs(counts["test"] - 400) < 60
    assert abs(counts["validation"] - 800) < 80
    assert sum(counts.values()) == 4000


def test_an_example_stays_whatever_is_added_or_removed():
    keys = [str(number) for number in range(400)]
    before = splits_of(keys)
    random.Random(0).shuffle(keys)
    after = splits_of([*keys[50:], *map(str, range(1000, 1300))])
    assert all(before[key] == after[key] for key in keys[50:])


@pytest.mark.parametrize("fractions", [FRACTIONS, {"test": 0.3}])
def test_few_examples_are_in_each_split(fractions):
    for seed in range(200):
        keys = [str(number) for number in range(len(fractions) + 1)]
        found = splits_of(keys, fractions, seed)
        assert sorted(found.values()) == sorted([*fractions, "train"])


def test_an_addition_takes_nothing_out_of_training():
    fractions, moved = {"test": 0.05, "validation": 0.1}, 0
    for seed in range(300):
        keys = [f"{seed} {number}" for number in range(12)]
        before = splits_of(keys[:6], fractions)
        for count in range(7, 13):
            after = splits_of(keys[:count], fractions)
            for key, name in before.items():
                assert ORDER.index(after[key]) >= ORDER.index(name)
                moved += after[key] != name
            before = after
    assert moved  # so small classes did need it


def test_too_few_examples():
    with pytest.raises(
        datasets.DataError, match=r"test and validation .*Received: 2 diff"
    ):
        split_by_place(["a", "b"], FRACTIONS, 0)


@pytest.mark.parametrize(
    "fractions, message",
    [
        ({"test": 0}, "between 0 and 1. Received: test_fraction=0"),
        ({"test": 1.0}, "test_fraction=1.0"),
        ({"test": 0.5, "validation": 0.5}, "below 1, .*test_fraction=0.5"),
    ],
)
def test_bad_fractions(fractions, message):
    with pytest.raises(ValueError, match=message):
        check_fractions(fractions)

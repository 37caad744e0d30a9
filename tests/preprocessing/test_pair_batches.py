import itertools

import numpy as np
import pytest
import tensorflow as tf

from preprocessing.batches import bucket_lengths
from preprocessing.pair_batches import PairBatches
from preprocessing.pair_batches import TokenizedPairs
from preprocessing.special_tokens import END_ID
from preprocessing.special_tokens import START_ID


def _pairs(lengths, links=None):
    """Pairs of these (source, target) lengths, END included.

    The tokens of pair i are 100 + i, so that a row tells which pair it is.
    """
    sides = [
        tf.ragged.constant(
            [
                [100 + index] * (pair[side] - 1) + [END_ID]
                for index, pair in enumerate(lengths)
            ],
            tf.int32,
        )
        for side in (0, 1)
    ]
    if links is not None:
        links = tf.ragged.constant(
            links, tf.int32, ragged_rank=1, inner_shape=(2,)
        )
    return TokenizedPairs(*sides, links)


def _random_pairs(count, seed=0):
    generator = np.random.default_rng(seed)
    return _pairs(generator.integers(2, 40, (count, 2)).tolist())


def _epoch(batches, number):
    found = batches.epochs(first=number).take(batches.steps_per_epoch)
    return [
        tuple(
            {name: value.numpy() for name, value in part.items()}
            if isinstance(part, dict)
            else part.numpy()
            for part in batch
        )
        for batch in found
    ]


def _rows(batches):
    """The numbers of the pairs in a list of batches, in order."""
    first = np.concatenate([inputs["source"][:, 0] for inputs, *_ in batches])
    return [int(token) - 100 for token in first if token]


def test_bucket_lengths():
    lengths = bucket_lengths(70)
    assert lengths[:10] == [8, 12, 16, 20, 24, 28, 32, 40, 48, 56]
    assert lengths[-2] < 70 <= lengths[-1]
    assert bucket_lengths(1) == [8]
    assert bucket_lengths(8) == [8]
    assert bucket_lengths(9) == [8, 12]
    for shorter, longer in itertools.pairwise(bucket_lengths(1000)):
        assert longer / shorter <= 3 / 2


@pytest.mark.parametrize("count", [1, 2, 7, 64, 301])
def test_each_pair_comes_exactly_once_an_epoch(count):
    batches = PairBatches(_random_pairs(count), 160, seed=3)
    for number in (0, 1):
        epoch = _epoch(batches, number)
        assert len(epoch) == batches.steps_per_epoch
        assert sorted(_rows(epoch)) == list(range(count))


@pytest.mark.parametrize("budget", [40, 160, 100_000])
@pytest.mark.parametrize("count", [1, 5, 100])
def test_steps_per_epoch_by_counting(count, budget):
    pairs = _random_pairs(count)
    batches = PairBatches(pairs, budget)
    by_length = {}
    for length in pairs.lengths:
        padded = next(b for b in bucket_lengths(40) if b >= length)
        by_length[padded] = by_length.get(padded, 0) + 1
    expected = sum(
        -(-number // max(1, budget // padded))
        for padded, number in by_length.items()
    )
    assert batches.steps_per_epoch == expected


def test_order_depends_on_seed_and_epoch_alone():
    pairs = _random_pairs(120)
    first, same, other = (
        PairBatches(pairs, 200, seed=seed) for seed in (5, 5, 6)
    )
    orders = {
        (name, epoch): _rows(_epoch(batches, epoch))
        for name, batches in (
            ("first", first),
            ("again", first),
            ("same", same),
            ("other", other),
        )
        for epoch in (0, 1)
    }
    for epoch in (0, 1):
        assert orders["first", epoch] == orders["again", epoch]
        assert orders["first", epoch] == orders["same", epoch]
        assert orders["first", epoch] != orders["other", epoch]
    assert orders["first", 0] != orders["first", 1]
    assert orders["first", 0] != sorted(orders["first", 0])


def test_resume_is_a_skip():
    batches = PairBatches(_random_pairs(50), 200, seed=1)
    steps = batches.steps_per_epoch
    whole = list(batches.epochs().take(3 * steps).as_numpy_iterator())
    later = list(batches.epochs(first=2).take(steps).as_numpy_iterator())
    for (inputs, target, weights), expected in zip(later, whole[2 * steps :]):
        np.testing.assert_array_equal(inputs["source"], expected[0]["source"])
        np.testing.assert_array_equal(inputs["target"], expected[0]["target"])
        np.testing.assert_array_equal(target, expected[1])
        np.testing.assert_array_equal(weights, expected[2])


def test_a_length_has_one_shape_and_the_budget_holds():
    batches = PairBatches(_random_pairs(200), 160)
    shapes = {}
    for inputs, target, weights in _epoch(batches, 0):
        rows, length = target.shape
        assert rows * length <= 160
        assert inputs["source"].shape == inputs["target"].shape == target.shape
        assert weights.shape == target.shape
        shapes.setdefault(length, set()).add(rows)
    assert len(shapes) > 4
    assert all(len(rows) == 1 for rows in shapes.values())


def test_a_sentence_above_the_budget_stands_alone():
    batches = PairBatches(_pairs([(30, 30), (30, 3), (3, 3)]), 16)
    shapes = sorted(target.shape for _, target, _ in _epoch(batches, 0))
    assert shapes == [(1, 32), (1, 32), (2, 8)]


def test_values_by_hand():
    batches = PairBatches(_pairs([(3, 4)]), 16)
    ((inputs, target, weights),) = _epoch(batches, 0)
    assert inputs["source"].tolist() == [
        [100, 100, END_ID, 0, 0, 0, 0, 0],
        [0] * 8,
    ]
    assert target[0].tolist() == [100, 100, 100, END_ID, 0, 0, 0, 0]
    shifted = [START_ID, 100, 100, 100, END_ID, 0, 0, 0]
    assert inputs["target"][0].tolist() == shifted
    assert weights.tolist() == [[1, 1, 1, 1, 0, 0, 0, 0], [0] * 8]
    assert weights.dtype == np.float32
    assert target.dtype == np.int32


def test_weights_are_the_real_tokens():
    pairs = _random_pairs(90)
    weights = [weights for *_, weights in _epoch(PairBatches(pairs, 200), 0)]
    total = int(tf.reduce_sum(pairs.target.row_lengths()))
    assert sum(w.sum() for w in weights) == total


def test_alignment_rows_sum_to_one():
    # Pair 0: target 0 with sources 0 and 1 (one of them named twice);
    # target 2 with source 1. Pair 1 has no link.
    links = [[[0, 0], [0, 1], [0, 1], [2, 1]], []]
    batches = PairBatches(_pairs([(3, 4), (2, 2)], links), 16)
    ((inputs, targets, weights),) = _epoch(batches, 0)
    row = inputs["source"][:, 0].tolist().index(100)
    alignment = targets["alignment"]
    assert alignment.shape == (2, 1, 8, 8)
    expected = np.zeros((8, 8))
    expected[0, :2] = 0.5
    expected[2, 1] = 1
    np.testing.assert_array_equal(alignment[row, 0], expected)
    assert not alignment[1 - row].any()
    assert weights["alignment"].shape == (2, 1, 8)
    assert weights["alignment"][row, 0].tolist() == [1, 0, 1, 0, 0, 0, 0, 0]
    assert targets["tokens"].shape == weights["tokens"].shape == (2, 8)


def test_selected_links_stay_with_their_pair():
    links = [[[0, 0]], [[1, 1]], []]
    chosen = _pairs([(3, 3), (4, 4), (5, 5)], links).select([2, 1])
    assert len(chosen) == 2
    assert chosen.lengths.tolist() == [5, 4]
    assert chosen.links.to_list() == [[], [[1, 1]]]


def test_with_rows_says_which_pair_a_row_is():
    pairs = _random_pairs(77)
    batches = PairBatches(pairs, 100)
    seen = []
    for rows, inputs, target in batches.with_rows():
        for row, source, ids in zip(rows, inputs["source"].numpy(), target):
            expected = pairs.source[int(row)].numpy()
            np.testing.assert_array_equal(source[: len(expected)], expected)
            assert not source[len(expected) :].any()
            assert (ids.numpy() > 0).sum() == len(pairs.target[int(row)])
        seen += rows.tolist()
    assert sorted(seen) == list(range(77))


def test_no_pairs_are_refused():
    empty = tf.RaggedTensor.from_row_lengths(
        tf.zeros((0,), tf.int32), tf.zeros((0,), tf.int64)
    )
    with pytest.raises(ValueError, match="no sentence pairs"):
        PairBatches(TokenizedPairs(empty, empty), 100)

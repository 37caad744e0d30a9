import numpy as np
import pytest
import tensorflow as tf

from preprocessing.classification_batches import ImageBatches
from preprocessing.classification_batches import TextBatches


def _texts(lengths, batch_size=4, seed=0, **options):
    """Text i has only the token 10 + i; its class is i modulo 3."""
    tokens = tf.ragged.constant(
        [[10 + number] * length for number, length in enumerate(lengths)],
        tf.int32,
    )
    labels = np.arange(len(lengths)) % 3
    return TextBatches(tokens, labels, 3, batch_size, seed, **options)


def _refusal(rows):
    return ValueError(f"Unreadable: {rows.tolist()}")


def _images(count, batch_size=4, seed=0, bad=-1):
    """Picture i has the value i throughout; its class is i modulo 3."""
    images = np.zeros((count, 2, 3, 1), np.uint8) + np.arange(
        count, dtype=np.uint8
    ).reshape(-1, 1, 1, 1)

    def decode(images):
        return tf.cast(images, tf.float32), tf.cast(
            images[:, 0, 0, 0], tf.int32
        ) != bad

    return ImageBatches(
        images, np.arange(count) % 3, 3, batch_size, decode, _refusal, seed
    )


def _epoch(batches, number):
    found = batches.epochs(first=number).take(batches.steps_per_epoch)
    return list(found.as_numpy_iterator())


def _order(epoch):
    """The numbers of the texts of an epoch, empty rows left out."""
    first = np.concatenate([inputs["tokens"][:, 0] for inputs, *_ in epoch])
    return [int(token) - 10 for token in first if token]


def test_each_text_once_an_epoch():
    lengths = np.random.default_rng(0).integers(1, 30, 41)
    batches = _texts(lengths)
    epoch = _epoch(batches, 0)
    assert sorted(_order(epoch)) == list(range(41))
    for inputs, targets, weights in epoch:
        tokens = inputs["tokens"]
        for row, target, weight in zip(tokens, targets, weights):
            if not row[0]:
                assert weight == 0 and not row.any()
                continue
            number = row[0] - 10
            assert weight == 1
            assert target.tolist() == np.eye(3)[number % 3].tolist()
            assert (row != 0).sum() == lengths[number]


def test_the_order_is_of_seed_and_epoch():
    lengths = [3] * 20
    orders = [
        _order(_epoch(_texts(lengths, seed=seed), number))
        for seed, number in ((0, 0), (0, 0), (0, 1), (1, 0))
    ]
    assert orders[0] == orders[1]
    assert orders[0] != orders[2] != orders[3] != orders[0]
    later = _texts(lengths).epochs(first=1).take(5).as_numpy_iterator()
    assert _order(list(later)) == orders[2]


def test_rare_classes_weigh_more():
    batches = _texts([2] * 8, class_weights=[1.0, 2.0, 0.5])
    for inputs, _, weights in _epoch(batches, 0):
        for token, weight in zip(inputs["tokens"][:, 0], weights):
            assert weight == [1.0, 2.0, 0.5][(token - 10) % 3]


def test_texts_in_a_fixed_order_for_evaluation():
    batches = _texts([9, 2, 3, 20, 2])
    seen = {}
    for rows, inputs, targets in batches.with_rows():
        for place, row in enumerate(rows):
            assert int(inputs["tokens"][place, 0]) - 10 == row
            seen[int(row)] = int(np.argmax(targets[place]))
    assert seen == {number: number % 3 for number in range(5)}


def test_no_texts():
    empty = tf.RaggedTensor.from_row_lengths(tf.zeros(0, tf.int32), [])
    with pytest.raises(ValueError, match="no texts"):
        TextBatches(empty, [], 2, 4)


def test_only_whole_batches_of_images():
    batches = _images(10)
    assert batches.steps_per_epoch == 2
    left_out = set()
    for number in range(60):
        epoch = _epoch(batches, number)
        assert [images.shape for images, *_ in epoch] == [(4, 2, 3, 1)] * 2
        values = [int(x) for images, *_ in epoch for x in images[:, 0, 0, 0]]
        assert len(set(values)) == 8
        left_out |= set(range(10)) - set(values)
        for images, targets, weights in epoch:
            numbers = images[:, 0, 0, 0].astype(int)
            assert targets.argmax(axis=1).tolist() == (numbers % 3).tolist()
            assert weights.tolist() == [1.0] * 4
    # An image is in 60 epochs in a row with a chance of 0.8 ** 60.
    assert left_out == set(range(10))


def test_all_images_for_evaluation():
    rows = [rows.tolist() for rows, *_ in _images(10).with_rows()]
    assert rows == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_fewer_images_than_a_batch():
    ((images, *_),) = _epoch(_images(3), 0)
    assert sorted(images[:, 0, 0, 0].tolist()) == [0, 1, 2]


def test_a_picture_that_cannot_be_read_is_an_error():
    batches = _images(10, bad=5)
    with pytest.raises(ValueError, match=r"Unreadable: \[5\]"):
        list(batches.with_rows())
    batches = _images(10, bad=5)
    assert batches.error is None
    with pytest.raises(tf.errors.OpError):
        for number in range(60):
            _epoch(batches, number)
    assert "Unreadable: [5]" in str(batches.error)


def test_no_images():
    with pytest.raises(ValueError, match="no pictures"):
        _images(0)


@pytest.mark.parametrize("longest", [1, 9, 50, 100])
def test_no_batch_is_longer_than_the_longest_text(longest):
    # Learned positions end there.
    tokens = tf.ragged.constant([[5] * longest, [5]], tf.int32)
    batches = TextBatches(tokens, [0, 1], 2, 2)
    assert batches.lengths[-1] == longest
    assert np.all(np.diff(batches.lengths) > 0)
    for inputs, _, _ in batches.epochs().take(2):
        assert inputs["tokens"].shape[1] <= longest

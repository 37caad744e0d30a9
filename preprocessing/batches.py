"""Batches whose order is a pure function of (seed, epoch)."""

import abc
import math

import numpy as np
import tensorflow as tf


def bucket_lengths(longest):
    """Lengths to which sentences are padded: 8, 12, 16, ... 32, 40, ...

    Close together, so that little is padding; and few, since each of them
    is compiled once.
    """
    lengths, length = [], 8
    while not lengths or lengths[-1] < longest:
        lengths.append(length)
        length += max(4, 2 ** int(math.log2(length)) // 4)
    return lengths


def dense(ragged, rows, shape):
    """Rows of a ragged tensor with zeros behind and below them."""
    chosen = tf.gather(ragged, rows).to_tensor()
    missing = tf.stack(shape) - tf.shape(chosen)
    return tf.pad(chosen, tf.stack([[0, 0], missing], axis=1))


class Batches(abc.ABC):
    """Examples in batches, those of a batch from one bucket.

    The order of epoch `e` depends on `(seed, e)` alone, and each epoch has
    the same number of batches, so that any step of a run can be reached by
    skipping. All batches of a bucket have the same shape.

    Args:
        bucket: For each example the number of its bucket.
        batch_sizes: For each bucket the number of examples of a batch.
        seed: Seed of the order.
        whole: Whether an epoch leaves out what does not fill a batch, those
            left out being others in each epoch; else `batch` fills up the
            last one of a bucket.

    Attributes:
        counts: For each bucket the number of its examples.
        steps_per_epoch: Batches of an epoch.
        error: The exception by which `batch` ended `epochs`, which itself
            ends with an error of TensorFlow; or None.
    """

    error = None

    def __init__(self, bucket, batch_sizes, seed=0, whole=False):
        self.seed = seed
        self.batch_sizes = np.asarray(batch_sizes)
        self.counts = np.bincount(bucket, minlength=len(self.batch_sizes))
        self.whole = whole
        full, rest = np.divmod(self.counts, self.batch_sizes)
        self.steps_per_epoch = int(np.sum(full if whole else full + (rest > 0)))
        self._bucket = tf.constant(bucket, tf.int64)

    @abc.abstractmethod
    def batch(self, rows, bucket, size):
        """`(inputs, targets, weights)` as `keras.Model.fit` takes them.

        Args:
            rows: Numbers of the examples, int64, at most `size`.
            bucket: Number of their bucket.
            size: Number of rows that the batch must have, int32.
        """

    def epochs(self, first=0):
        """All epochs from `first` on, one after the other, without end."""
        return (
            tf.data.Dataset.range(first, np.iinfo(np.int64).max)
            .flat_map(self._order)
            .map(self._batch, num_parallel_calls=2, deterministic=True)
            .prefetch(4)
        )

    def with_rows(self):
        """One pass in a fixed order, bucket by bucket, for evaluation.

        Yields:
            The numbers of the examples of a batch as an array, its inputs
            and its targets as in `epochs`; a last batch may have more rows
            than numbers.
        """
        order = np.argsort(self._bucket.numpy(), kind="stable")
        batches = self._group(tf.data.Dataset.from_tensor_slices(order), False)
        for rows in batches:
            inputs, target, _ = self._batch(rows)
            yield rows.numpy(), inputs, target

    def _order(self, epoch):
        rows = tf.random.experimental.stateless_shuffle(
            tf.range(len(self._bucket), dtype=tf.int64),
            seed=tf.stack([tf.constant(self.seed, tf.int64), epoch]),
        )
        return self._group(tf.data.Dataset.from_tensor_slices(rows), self.whole)

    def _group(self, rows, whole):
        sizes = tf.constant(self.batch_sizes, tf.int64)
        return rows.group_by_window(
            key_func=lambda row: self._bucket[row],
            reduce_func=lambda bucket, group: group.batch(
                sizes[bucket], drop_remainder=whole
            ),
            window_size_func=lambda bucket: sizes[bucket],
        )

    def _batch(self, rows):
        bucket = self._bucket[rows[0]]
        size = tf.constant(self.batch_sizes, tf.int32)[bucket]
        return self.batch(rows, bucket, size)

"""Batches of sentence pairs: a pure function of (seed, epoch)."""

import dataclasses
import math

import numpy as np
import tensorflow as tf

from preprocessing.special_tokens import START_ID


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


@dataclasses.dataclass(frozen=True)
class TokenizedPairs:
    """Sentence pairs as token ids, in memory.

    Attributes:
        source: Ragged int32 `(num_pairs, None)`, END included.
        target: Ragged int32 `(num_pairs, None)`, END included.
        links: Ragged int32 `(num_pairs, None, 2)`: pairs (target token,
            source token) that belong together, for guided alignment; or
            None.
    """

    source: tf.RaggedTensor
    target: tf.RaggedTensor
    links: tf.RaggedTensor | None = None

    def __len__(self):
        return int(self.source.nrows())

    @property
    def lengths(self):
        """The longer side of each pair, in tokens."""
        return np.maximum(
            self.source.row_lengths().numpy(), self.target.row_lengths().numpy()
        )

    def select(self, rows):
        """The pairs of these rows."""
        return TokenizedPairs(
            tf.gather(self.source, rows),
            tf.gather(self.target, rows),
            None if self.links is None else tf.gather(self.links, rows),
        )


class PairBatches:
    """Batches of about equally long pairs, with a budget of tokens.

    The order of epoch `e` depends on `(seed, e)` alone, and each epoch has
    the same number of batches, so that any step of a run can be reached by
    skipping. All batches of a length have the same shape: a last one is
    filled up with empty rows, which count nothing.

    Args:
        pairs: `TokenizedPairs`.
        tokens_per_batch: Most tokens of a batch, padding included, counted
            on the longer side.
        seed: Seed of the order.

    Raises:
        ValueError: If there are no pairs.
    """

    def __init__(self, pairs, tokens_per_batch, seed=0):
        if not len(pairs):
            raise ValueError("There are no sentence pairs to make batches of.")
        self.pairs = pairs
        self.num_pairs = len(pairs)
        self.seed = seed
        lengths = pairs.lengths
        self.lengths = np.array(bucket_lengths(lengths.max()), np.int32)
        self.batch_sizes = np.maximum(1, tokens_per_batch // self.lengths)
        bucket = np.searchsorted(self.lengths, lengths)
        self.counts = np.bincount(bucket, minlength=len(self.lengths))
        self.steps_per_epoch = int(np.sum(-(-self.counts // self.batch_sizes)))
        self._bucket = tf.constant(bucket, tf.int64)

    def epochs(self, first=0):
        """All epochs from `first` on, one after the other, without end.

        Yields:
            `(inputs, targets, weights)` as `keras.Model.fit` takes them:
            inputs `{"source": (B, L), "target": (B, L)}`, targets `(B, L)`,
            int32, weights `(B, L)`, float32, 1 for each real target token.
            With links, targets and weights are dictionaries of `tokens` (as
            above) and `alignment`: `(B, 1, L, L)`, rows that sum to 1, and
            `(B, 1, L)`, 1 for each row that has a link.
        """
        return (
            tf.data.Dataset.range(first, np.iinfo(np.int64).max)
            .flat_map(self._order)
            .map(self._batch, num_parallel_calls=2, deterministic=True)
            .prefetch(4)
        )

    def with_rows(self):
        """One pass in a fixed order, whole batches by length, for evaluation.

        Yields:
            The row numbers of a batch as an array, its inputs and its
            targets as in `epochs`; a last batch may have more rows than row
            numbers, and the rest is empty.
        """
        order = np.argsort(self._bucket.numpy(), kind="stable")
        batches = self._group(tf.data.Dataset.from_tensor_slices(order))
        for rows in batches:
            inputs, target, _ = self._batch(rows)
            yield rows.numpy(), inputs, target

    def _order(self, epoch):
        rows = tf.random.experimental.stateless_shuffle(
            tf.range(self.num_pairs, dtype=tf.int64),
            seed=tf.stack([tf.constant(self.seed, tf.int64), epoch]),
        )
        return self._group(tf.data.Dataset.from_tensor_slices(rows))

    def _group(self, rows):
        sizes = tf.constant(self.batch_sizes, tf.int64)
        return rows.group_by_window(
            key_func=lambda row: self._bucket[row],
            reduce_func=lambda bucket, group: group.batch(sizes[bucket]),
            window_size_func=lambda bucket: sizes[bucket],
        )

    def _batch(self, rows):
        bucket = self._bucket[rows[0]]
        length = tf.constant(self.lengths)[bucket]
        size = tf.constant(self.batch_sizes, tf.int32)[bucket]
        shape = tf.stack([size, length])

        def dense(ragged):
            chosen = tf.gather(ragged, rows).to_tensor()
            missing = shape - tf.shape(chosen)
            return tf.pad(chosen, tf.stack([[0, 0], missing], axis=1))

        target = dense(self.pairs.target)
        start = tf.fill([size, 1], START_ID)
        inputs = {
            "source": dense(self.pairs.source),
            "target": tf.concat([start, target[:, :-1]], axis=1),
        }
        weights = tf.cast(tf.not_equal(target, 0), tf.float32)
        if self.pairs.links is None:
            return inputs, target, weights
        links = self._links(rows, tf.stack([size, length, length]))
        linked = tf.reduce_sum(links, axis=-1)
        return (
            inputs,
            {"tokens": target, "alignment": links[:, None]},
            {"tokens": weights, "alignment": linked[:, None]},
        )

    def _links(self, rows, shape):
        links = tf.gather(self.pairs.links, rows)
        indices = tf.concat(
            [
                tf.cast(links.value_rowids(), tf.int32)[:, None],
                links.values,
            ],
            axis=1,
        )
        ones = tf.ones(tf.shape(indices)[0])
        # A pair named twice counts once.
        dense = tf.minimum(tf.scatter_nd(indices, ones, shape), 1.0)
        return tf.math.divide_no_nan(
            dense, tf.reduce_sum(dense, axis=-1, keepdims=True)
        )

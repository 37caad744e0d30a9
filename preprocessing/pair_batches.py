"""Batches of sentence pairs: a pure function of (seed, epoch)."""

import dataclasses

import numpy as np
import tensorflow as tf

from preprocessing.batches import Batches
from preprocessing.batches import bucket_lengths
from preprocessing.batches import dense
from preprocessing.special_tokens import START_ID


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


class PairBatches(Batches):
    """Batches of about equally long pairs, with a budget of tokens.

    Args:
        pairs: `TokenizedPairs`.
        tokens_per_batch: Most tokens of a batch, padding included, counted
            on the longer side.
        seed: Seed of the order.

    A batch of `epochs()` is `(inputs, targets, weights)`: inputs
    `{"source": (B, L), "target": (B, L)}`, targets `(B, L)`, int32, weights
    `(B, L)`, float32, 1 for each real target token. With links, targets and
    weights are dictionaries of `tokens` (as above) and `alignment`:
    `(B, 1, L, L)`, rows that sum to 1, and `(B, 1, L)`, 1 for each row that
    has a link.

    Raises:
        ValueError: If there are no pairs.
    """

    def __init__(self, pairs, tokens_per_batch, seed=0):
        if not len(pairs):
            raise ValueError("There are no sentence pairs to make batches of.")
        self.pairs = pairs
        self.num_pairs = len(pairs)
        lengths = pairs.lengths
        self.lengths = np.array(bucket_lengths(lengths.max()), np.int32)
        super().__init__(
            np.searchsorted(self.lengths, lengths),
            np.maximum(1, tokens_per_batch // self.lengths),
            seed,
        )

    def batch(self, rows, bucket, size):
        length = tf.constant(self.lengths)[bucket]
        target = dense(self.pairs.target, rows, (size, length))
        start = tf.fill([size, 1], START_ID)
        inputs = {
            "source": dense(self.pairs.source, rows, (size, length)),
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

"""Batches whose order is a pure function of (seed, epoch)."""

import abc
import dataclasses
import math

import numpy as np
import tensorflow as tf

_WITHOUT_END = tf.data.INFINITE_CARDINALITY


def untuned(dataset):
    """The data set without autotuning, whose thread may sleep for seconds
    before it lets go of an iterator that is at its end."""
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)


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


@dataclasses.dataclass(frozen=True)
class Parts:
    """Which parts of each batch are wanted: those of some replicas.

    Replica `r` of `total` has the rows `r, r + total, ...` of each batch. If
    they are not as many for all, some are there twice, once with weight 0.

    Attributes:
        first: Number of the first replica.
        count: Number of replicas, one after the other.
        total: Number of all replicas.
    """

    first: int = 0
    count: int = 1
    total: int = 1

    def of_rows(self, rows):
        """A data set of the parts of a batch.

        Args:
            rows: Numbers of its examples, int64.
        """
        replicas = tf.data.Dataset.range(self.first, self.first + self.count)
        return replicas.map(lambda replica: self._of_replica(rows, replica))

    def _of_replica(self, rows, replica):
        count = tf.size(rows, tf.int64)
        share = (count + self.total - 1) // self.total
        places = replica + self.total * tf.range(share)
        return {
            "rows": tf.gather(rows, places % count),
            "real": tf.cast(places < count, tf.float32),
            "of": self.total,
        }


def served(rows, make, servers):
    """Data of `make`, made by data servers in turn, in the order of `rows`.

    Args:
        rows: Data set of what `make` takes.
        make: Function of TensorFlow's operations alone.
        servers: Their addresses, `host:port`. Each is a dispatcher with one
            worker: more of them would not keep the order.
    """
    service = tf.data.experimental.service
    each = [
        rows.shard(len(servers), number)
        .map(make, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        .apply(
            service.distribute(service.ShardingPolicy.OFF, f"grpc://{address}")
        )
        for number, address in enumerate(servers)
    ]
    turns = tf.data.Dataset.range(len(servers)).repeat()
    return tf.data.Dataset.choose_from_datasets(each, turns)


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
        """What `finish` makes `(inputs, targets, weights)` of.

        All of it is TensorFlow's, so that another process can do it.

        Args:
            rows: Numbers of the examples, int64, at most `size`.
            bucket: Number of their bucket.
            size: Number of rows that the batch must have, int32. Those that
                are added weigh 0.
        """

    def finish(self, *made):
        """What `batch` made as `keras.Model.fit` takes it, in this process."""
        return made

    def epochs(self, first=0, skip=0, parts=Parts(), servers=()):
        """All epochs from `first` on, one after the other, without end.

        Args:
            first: Number of the first epoch.
            skip: Number of its batches that are left out.
            parts: The `Parts` of each batch that are wanted.
            servers: Addresses of data servers, `host:port`, which make the
                batches in turn; without any, this process does.
        """
        rows = (
            tf.data.Dataset.range(first, np.iinfo(np.int64).max)
            .flat_map(self._order)
            .skip(skip)
            .flat_map(parts.of_rows)
        )
        if servers:
            made = served(rows, self._make, servers)
        else:
            made = rows.map(
                self._make, num_parallel_calls=2, deterministic=True
            )
        return (
            made.map(self._finish)
            .prefetch(4)
            .apply(tf.data.experimental.assert_cardinality(_WITHOUT_END))
            .apply(untuned)
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
        for rows in untuned(batches):
            real = tf.ones_like(rows, tf.float32)
            made = self._make({"rows": rows, "real": real, "of": 1})
            inputs, target, _ = self._finish(*made)
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

    def _make(self, part):
        rows = part["rows"]
        bucket = self._bucket[rows[0]]
        size = tf.constant(self.batch_sizes, tf.int32)[bucket]
        share = (size + part["of"] - 1) // part["of"]
        return self.batch(rows, bucket, share), part["real"]

    def _finish(self, made, real):
        inputs, targets, weights = self.finish(*made)

        def weighed(weight):
            missing = tf.shape(weight)[0] - tf.shape(real)[0]
            shape = [-1, *(1 for _ in weight.shape[1:])]
            return weight * tf.reshape(tf.pad(real, [[0, missing]]), shape)

        return inputs, targets, tf.nest.map_structure(weighed, weights)

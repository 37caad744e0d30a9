"""The relative position bias of T5."""

import keras
from keras import ops


def first_distances(num_exact, num_buckets, max_distance):
    """Where the logarithmic buckets begin, all but the first of them.

    The bucket of a distance n >= E, with E exact buckets of B, is

        E + floor(log(n / E) / log(M / E) * (B - E)),   M = max_distance

    so bucket E + k begins at the first n with n^(B-E) >= M^k E^(B-E-k). In
    whole numbers no rounding of a logarithm moves a border.
    """
    count = num_buckets - num_exact
    distances, distance = [], num_exact
    for bucket in range(1, count):
        border = max_distance**bucket * num_exact ** (count - bucket)
        while distance**count < border:
            distance += 1
        distances.append(distance)
    return distances


def relative_position_bucket(
    distance, num_buckets=32, max_distance=128, bidirectional=True
):
    """The bucket of each distance.

    Args:
        distance: Position of the key less that of the query, int32.
        num_buckets, max_distance, bidirectional: As in
            `RelativePositionBias`.

    Returns:
        Numbers in [0, num_buckets), int32, of the shape of `distance`.
    """
    behind = 0
    if bidirectional:
        # The upper half of the buckets is for keys after the query.
        num_buckets = num_buckets // 2
        behind = ops.cast(distance > 0, "int32") * num_buckets
        distance = ops.abs(distance)
    else:
        distance = ops.maximum(-distance, 0)
    num_exact = num_buckets // 2
    bucket = ops.minimum(distance, num_exact)
    for first in first_distances(num_exact, num_buckets, max_distance):
        bucket = bucket + ops.cast(distance >= first, "int32")
    return behind + bucket


@keras.saving.register_keras_serializable(package="attention_zoo")
class RelativePositionBias(keras.layers.Layer):
    """A learned number for each head and distance, added to logits (T5).

        logits[n, t, s] = q_t . k_s + b[bucket(s - t), n]

    Near distances have a bucket each. Farther ones share buckets that widen
    with the logarithm of the distance. With `bidirectional`, half of the
    buckets are for keys after the query; without it, those have the bucket
    of distance 0, for a causal mask hides them.

    Args:
        num_heads: Number of heads.
        num_buckets: Number of buckets, half of which are of one distance.
        max_distance: From this distance on all share the last bucket.
        bidirectional: Whether queries look at later keys.
        initializer: Initializer of b.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        query_length: Number of queries T, an integer or a scalar tensor.
        key_length: Number of keys S, an integer or a scalar tensor.
        first_position: Position of the first query, where that of the first
            key is 0. By default `key_length - query_length`: the last query
            stands at the last key.

    Returns:
        `(1, num_heads, query_length, key_length)`.

    Raises:
        ValueError: If there are too few buckets, or `max_distance` lies
            within the exact ones.

    Example:

    >>> layer = RelativePositionBias(num_heads=8)
    >>> logits = query @ ops.swapaxes(key, -1, -2) + layer(7, 7)

    Reference:
        [Raffel et al., 2020](https://arxiv.org/abs/1910.10683), section 2.1.
    """

    def __init__(
        self,
        num_heads,
        num_buckets=32,
        max_distance=128,
        bidirectional=True,
        initializer="truncated_normal",
        **kwargs,
    ):
        super().__init__(**kwargs)
        least = 4 if bidirectional else 2
        if num_buckets < least or (bidirectional and num_buckets % 2):
            raise ValueError(
                f"`num_buckets` must be at least {least}, and even if "
                f"`bidirectional`. Received: num_buckets={num_buckets}"
            )
        if max_distance <= num_buckets // least:
            raise ValueError(
                "`max_distance` must be greater than the number of exact "
                f"buckets, {num_buckets // least}. "
                f"Received: max_distance={max_distance}"
            )
        self.num_heads = num_heads
        self.num_buckets = num_buckets
        self.max_distance = max_distance
        self.bidirectional = bidirectional
        self.initializer = keras.initializers.get(initializer)
        self.build()  # no input has a shape to wait for

    def build(self, input_shape=None):
        if self.built:
            return
        self.bias = self.add_weight(
            shape=(self.num_buckets, self.num_heads),
            # A copy: an initializer gives each weight of a shape the same.
            initializer=keras.initializers.get(
                keras.initializers.serialize(self.initializer)
            ),
            name="bias",
        )

    def __call__(self, query_length, key_length, first_position=None):
        # Keras takes plain numbers by name only.
        return super().__call__(
            query_length=query_length,
            key_length=key_length,
            first_position=first_position,
        )

    def call(self, query_length, key_length, first_position=None):
        if first_position is None:
            first_position = key_length - query_length
        # All distances, from that of the first key to the last query on.
        last = first_position + query_length - 1
        places = ops.arange(query_length + key_length - 1, dtype="int32")
        bucket = relative_position_bucket(
            places - ops.convert_to_tensor(last, dtype="int32"),
            self.num_buckets,
            self.max_distance,
            self.bidirectional,
        )
        bias = ops.transpose(ops.take(self.bias, bucket, axis=0))
        return self._spread(bias, query_length, key_length)[None]

    def _spread(self, bias, query_length, key_length):
        """`(N, T + S - 1)` of distances to `(N, T, S)` of pairs.

        Row t is the input from place T - 1 - t on. When copies of the input
        with one number more stand in a row, and are cut into rows without
        it, each row starts one place earlier.
        """
        num_heads, length = self.num_heads, query_length + key_length
        rows = ops.pad(bias, [(0, 0), (0, 1)])[:, None, :]
        rows = ops.broadcast_to(rows, (num_heads, query_length, length))
        flat = ops.reshape(rows, (num_heads, query_length * length))
        rows = ops.reshape(
            flat[:, : query_length * (length - 1)],
            (num_heads, query_length, length - 1),
        )
        return rows[:, :, query_length - 1 :]

    def compute_output_spec(
        self, query_length, key_length, first_position=None
    ):
        lengths = [
            length if isinstance(length, int) else None
            for length in (query_length, key_length)
        ]
        return keras.KerasTensor(
            (1, self.num_heads, *lengths), dtype=self.compute_dtype
        )

    def get_config(self):
        config = super().get_config()
        config.update(
            {
                "num_heads": self.num_heads,
                "num_buckets": self.num_buckets,
                "max_distance": self.max_distance,
                "bidirectional": self.bidirectional,
                "initializer": keras.initializers.serialize(self.initializer),
            }
        )
        return config

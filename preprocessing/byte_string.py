"""Numbers out of the bytes of a file, in the graph."""

import tensorflow as tf


class ByteString:
    """The bytes of a file; those before its start and beyond its end are 0.

    Args:
        content: `()` string.
    """

    def __init__(self, content):
        self.values = tf.io.decode_raw(content, tf.uint8)
        self.size = tf.size(self.values, out_type=tf.int64)

    def number(self, position, size, little_endian=False):
        """Reads unsigned integers.

        Args:
            position: int64 of any shape, where the numbers begin.
            size: Number of bytes of each, at most 7.
            little_endian: Whether the least byte comes first; a Python or a
                `()` boolean.

        Returns:
            int64 of the shape of `position`.
        """
        place = tf.range(size, dtype=tf.int64)
        power = tf.where(little_endian, place, size - 1 - place)
        position = tf.convert_to_tensor(position, tf.int64)[..., None] + place
        inside = (position >= 0) & (position < self.size)
        digits = tf.gather(self.values, tf.where(inside, position, 0))
        digits = tf.where(inside, tf.cast(digits, tf.int64), 0)
        return tf.reduce_sum(digits * 256**power, axis=-1)

    def is_at(self, position, text):
        """Whether the bytes of `text`, at most 7, stand at `()` position."""
        expected = int.from_bytes(text, "big")
        return tf.equal(self.number(position, len(text)), expected)

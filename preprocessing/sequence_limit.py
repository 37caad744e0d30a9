"""How much of a text a model reads."""

import tensorflow as tf

# Tokenizers take longer than their text grows, that of subwords with its
# square: a second is enough for this much, whatever it is (NFKC makes up to
# 11 times as much of it), and not for a megabyte.
_MOST_BYTES = 65_536
_BYTES_A_TOKEN = 64


class SequenceLimit:
    """What is left out of texts that are too long.

    Attributes:
        max_sequence_length: Most tokens of a text, those around it included.
    """

    @property
    def max_bytes(self):
        """The bytes of a text that are read, 65,536 or 64 for each token that
        it may have, whichever is more."""
        return max(_MOST_BYTES, _BYTES_A_TOKEN * self.max_sequence_length)

    def beginning(self, text):
        """As much of each text as is read, in whole characters."""
        part = tf.strings.substr(_valid(text), 0, self.max_bytes)
        # What is left of a character in the end goes.
        return tf.strings.unicode_transcode(
            part, "UTF-8", "UTF-8", errors="ignore"
        )

    def cut(self, ids):
        """Cut rows at `max_sequence_length`; END stays."""
        longest = self.max_sequence_length - 1
        return tf.concat([ids[:, :-1][:, :longest], ids[:, -1:]], axis=1)

    def lengths(self, text, ids):
        """The tokens of each text, and of one with too many bytes at least
        one more than it may have.

        Args:
            text: `(batch_size,)` strings.
            ids: Their ragged ids, before they are cut.
        """
        lengths = ids.row_lengths()
        is_longer = tf.strings.length(_valid(text)) > self.max_bytes
        least = tf.cast(self.max_sequence_length + 1, lengths.dtype)
        return tf.where(is_longer, tf.maximum(lengths, least), lengths)

    def is_cut(self, text, ids):
        """Whether something of each text is left out; as for `lengths`."""
        return self.lengths(text, ids) > self.max_sequence_length


def _valid(text):
    """UTF-8, with U+FFFD where it was none."""
    return tf.strings.unicode_transcode(
        text, "UTF-8", "UTF-8", errors="replace"
    )

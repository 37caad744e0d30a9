"""How much of a text a model reads."""

import tensorflow as tf

# Tokenizers take longer than their text grows, some with its square: a second
# is enough for this much, whatever it is, and not for a megabyte.
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

    def readable(self, text):
        """The beginnings of the texts, as much of them as is read."""
        return tf.strings.substr(text, 0, self.max_bytes)

    def cut(self, ids):
        """Cut rows at `max_sequence_length`; END stays."""
        longest = self.max_sequence_length - 1
        return tf.concat([ids[:, :-1][:, :longest], ids[:, -1:]], axis=1)

    def is_cut(self, text, ids):
        """Whether something of each text is left out.

        Args:
            text: `(batch_size,)` strings.
            ids: Their ragged ids, before they are cut.
        """
        too_many = tf.greater(ids.row_lengths(), self.max_sequence_length)
        return too_many | tf.greater(tf.strings.length(text), self.max_bytes)

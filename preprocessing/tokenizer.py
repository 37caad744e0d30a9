"""The one face of all tokenizers."""

import abc
import itertools

import tensorflow as tf

from preprocessing.normalization import normalize_text
from preprocessing.special_tokens import END
from preprocessing.special_tokens import END_ID
from preprocessing.special_tokens import PADDING_ID
from preprocessing.special_tokens import START
from preprocessing.special_tokens import START_ID
from preprocessing.special_tokens import UNKNOWN_ID

# Lines normalised in one call while a vocabulary is learned.
LINES_AT_ONCE = 4096


class Tokenizer(tf.Module, abc.ABC):
    """Text to token ids and back, in TensorFlow ops.

    The same object serves in the input pipeline and in the exported graph,
    so the two cannot differ. A tokenizer that learns its vocabulary has a
    class method `train(lines, vocabulary_size, lowercase=False)`; for text
    without unknown tokens its `detokenize(tokenize(text))` is
    `normalize(text)`.

    Args:
        lowercase: Whether text is lower-cased first.
    """

    kind = ""  # the name of the class in a saved preprocessor
    file_suffix = ""  # of the file that `save` writes
    options = ("lowercase",)  # what `load` must be told besides the file
    vocabulary = ()  # the token strings, by id; padding is 0
    unknown_id = UNKNOWN_ID
    start, start_id = START, START_ID  # stands before a text
    end, end_id = END, END_ID  # stands behind a text
    mask_id = UNKNOWN_ID  # stands where a token is hidden

    def __init__(self, lowercase=False):
        super().__init__()
        self.lowercase = lowercase

    @abc.abstractmethod
    def pieces(self, text):
        """Split `(batch_size,)` strings into the ragged `(batch_size, None)`
        strings that the tokens stand for, also of those that are unknown.

        A blank before a piece is U+2581.
        """

    @abc.abstractmethod
    def tokenize(self, text):
        """`(batch_size,)` strings to ragged int32 ids, without START, END."""

    @abc.abstractmethod
    def join(self, token_ids):
        """Ragged ids of text tokens to `(batch_size,)` strings."""

    @abc.abstractmethod
    def save(self, path):
        """Write the vocabulary to a file."""

    @classmethod
    @abc.abstractmethod
    def load(cls, path, lowercase=False):
        """Read what `save` wrote; `options` are given by name."""

    @property
    def special_ids(self):
        """The tokens that are no text, so that none of them is hidden."""
        named = {self.unknown_id, self.start_id, self.end_id, self.mask_id}
        return (PADDING_ID, *sorted(named))

    @property
    def vocabulary_size(self):
        """Number of tokens, the special ones included."""
        return len(self.vocabulary)

    def normalize(self, text):
        """The form of the text that the tokens stand for."""
        return normalize_text(text, self.lowercase)

    def token_strings(self, token_ids):
        """The strings of token ids of any shape; that of padding is ""."""
        return tf.gather(tf.constant(self.vocabulary), token_ids)

    def detokenize(self, token_ids):
        """Ids to text.

        Args:
            token_ids: `(batch_size, length)`, dense or ragged. Padding and
                START are left out, and so is all from the first END on.

        Returns:
            `(batch_size,)` strings.
        """
        if isinstance(token_ids, tf.RaggedTensor):
            token_ids = token_ids.to_tensor()
        is_end = tf.equal(token_ids, self.end_id)
        is_text = tf.not_equal(token_ids, PADDING_ID)
        is_text &= tf.not_equal(token_ids, self.start_id)
        is_text &= tf.equal(tf.cumsum(tf.cast(is_end, tf.int32), axis=1), 0)
        return self.join(tf.ragged.boolean_mask(token_ids, is_text))


def batches(items, size):
    """Lists of at most `size` successive items."""
    iterator = iter(items)
    while batch := list(itertools.islice(iterator, size)):
        yield batch

"""A word index: the tokenizer of the first neural translators."""

import collections
import pathlib

import tensorflow as tf
import tensorflow_text as tf_text

from preprocessing.special_tokens import SPECIAL_TOKENS
from preprocessing.special_tokens import UNKNOWN_ID
from preprocessing.special_tokens import WORD_START
from preprocessing.tokenizer import batches
from preprocessing.tokenizer import LINES_AT_ONCE
from preprocessing.tokenizer import Tokenizer

# One digit, one Chinese character, a run of other letters, or one other
# sign, each with the blank before it.
_PIECE = (
    rf"{WORD_START}?"
    # [^\P{L}\p{Han}]: letters, but not Chinese characters.
    r"(?:\p{Han}|\p{N}|(?:[^\P{L}\p{Han}]|\p{M})+"
    rf"|[^\p{{L}}\p{{M}}\p{{N}}{WORD_START}])"
    rf"|{WORD_START}"
)


class WordTokenizer(Tokenizer):
    """Words, single digits and single punctuation signs as tokens.

    Digits stand alone, so that numbers never seen can be written. A token
    that follows a blank begins with U+2581; with it, the text can be put
    together again exactly.

    Args:
        vocabulary: The token strings, the four special ones first.
        lowercase: Whether text is lower-cased first.

    Raises:
        ValueError: If the vocabulary does not begin with the special tokens.
    """

    kind = "word"
    file_suffix = ".txt"

    def __init__(self, vocabulary, lowercase=False):
        super().__init__(lowercase=lowercase)
        if tuple(vocabulary[: len(SPECIAL_TOKENS)]) != SPECIAL_TOKENS:
            raise ValueError(
                f"A vocabulary must begin with {SPECIAL_TOKENS}. "
                f"Received: {tuple(vocabulary[: len(SPECIAL_TOKENS)])}"
            )
        self.vocabulary = tuple(vocabulary)
        # No text has a piece such as "[END]": its brackets stand alone.
        self.table = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(
                tf.constant(self.vocabulary),
                tf.range(len(self.vocabulary), dtype=tf.int32),
            ),
            default_value=UNKNOWN_ID,
        )

    @classmethod
    def train(cls, lines, vocabulary_size, lowercase=False):
        """Learn the vocabulary: the most frequent pieces, ties by spelling.

        Args:
            lines: Iterable of strings.
            vocabulary_size: Most tokens, the special ones included.
            lowercase: Whether text is lower-cased first.
        """
        splitter = cls(SPECIAL_TOKENS, lowercase=lowercase)
        counts = collections.Counter()
        for batch in batches(lines, LINES_AT_ONCE):
            pieces = splitter.pieces(tf.constant(batch)).flat_values.numpy()
            counts.update(piece.decode() for piece in pieces)
        ranked = sorted(counts, key=lambda piece: (-counts[piece], piece))
        kept = ranked[: vocabulary_size - len(SPECIAL_TOKENS)]
        return cls((*SPECIAL_TOKENS, *kept), lowercase=lowercase)

    def pieces(self, text):
        text = tf.strings.regex_replace(self.normalize(text), " ", WORD_START)
        # An empty text has no first word.
        text = tf.where(tf.equal(text, ""), text, WORD_START + text)
        return tf_text.regex_split(text, _PIECE, _PIECE)

    def tokenize(self, text):
        return tf.ragged.map_flat_values(self.table.lookup, self.pieces(text))

    def join(self, token_ids):
        text = tf.strings.reduce_join(self.token_strings(token_ids), axis=-1)
        return tf.strings.strip(tf.strings.regex_replace(text, WORD_START, " "))

    def save(self, path):
        lines = "\n".join(self.vocabulary) + "\n"
        pathlib.Path(path).write_text(lines, encoding="utf-8")

    @classmethod
    def load(cls, path, lowercase=False):
        text = pathlib.Path(path).read_text(encoding="utf-8")
        return cls(text.removesuffix("\n").split("\n"), lowercase=lowercase)

"""Pieces of words, in a vocabulary that others learned: BERT's tokenizer."""

import pathlib

import tensorflow as tf
import tensorflow_text as tf_text

from preprocessing.bert_words import NAMED_TOKENS
from preprocessing.bert_words import normalize_bert_text
from preprocessing.bert_words import split_bert_words
from preprocessing.bert_words import STAND_INS
from preprocessing.bert_words import with_names
from preprocessing.special_tokens import PADDING
from preprocessing.special_tokens import WORD_START
from preprocessing.tokenizer import Tokenizer

PADDING_NAME = "[PAD]"
UNKNOWN_NAME, START_NAME, END_NAME, MASK_NAME = NAMED_TOKENS
UNKNOWN_STAND_IN = STAND_INS[0]

# Longer words are unknown.
MOST_CHARACTERS = 100
_MOST_BYTES = 4 * MOST_CHARACTERS


class WordPieceTokenizer(Tokenizer):
    """The tokenizer of BERT, with the same ids.

    Text is split at blanks, punctuation and Chinese characters. Of each word
    the longest beginning that is in the vocabulary is taken, then of the
    rest, whose pieces are written with "##"; a word with a rest that begins
    with no piece is unknown as a whole, and so is one of more than 100
    characters.

    "[CLS]", "[SEP]", "[MASK]" and "[UNK]" in a text are these tokens, as in
    BERT. "[PAD]" is only text: its id 0 means that nothing is there.

    Args:
        vocabulary: The token strings: "[PAD]" first; "[UNK]", "[CLS]",
            "[SEP]" and "[MASK]" anywhere.
        lowercase: Whether text is lower-cased first.
        strip_accents: Whether accents are left out; None is `lowercase`.
        split_on_cjk: Whether each Chinese character is a word.

    Raises:
        ValueError: A token is there twice, or empty, or one with a meaning
            is missing.

    References:
        [Devlin et al., 2019](https://arxiv.org/abs/1810.04805);
        [Song et al., 2021](https://arxiv.org/abs/2012.15524), how the
        longest beginnings are found.
    """

    kind = "word_piece"
    file_suffix = ".txt"
    options = ("lowercase", "strip_accents", "split_on_cjk")
    start, end = START_NAME, END_NAME

    def __init__(
        self, vocabulary, lowercase=True, strip_accents=None, split_on_cjk=True
    ):
        super().__init__(lowercase=lowercase)
        self.strip_accents = (
            lowercase if strip_accents is None else strip_accents
        )
        self.split_on_cjk = split_on_cjk
        ids = _checked_ids(vocabulary)
        self.vocabulary = (PADDING, *vocabulary[1:])
        self.unknown_id, self.start_id, self.end_id, self.mask_id = (
            ids[name] for name in NAMED_TOKENS
        )
        # No word of a text can be spelled as a stand-in.
        stand_ins = dict(zip(NAMED_TOKENS, STAND_INS))
        self.word_piece = tf_text.FastWordpieceTokenizer(
            [stand_ins.get(token, token) for token in vocabulary],
            max_bytes_per_word=_MOST_BYTES,
            token_out_type=tf.int32,
            unknown_token=UNKNOWN_STAND_IN,
            no_pretokenization=True,
        )

    def normalize(self, text):
        return with_names(self._normalize(text))

    def pieces(self, text):
        words = self._words(text)
        plain = tf.strings.strip(words.flat_values)
        _, starts, ends = self._split(plain)
        row, first, last = starts.value_rowids(), starts.values, ends.values
        # The stand-in of a word that is too long has another end.
        too_long = tf.gather(_is_too_long(plain), row)
        last = tf.where(too_long, tf.gather(_num_bytes(plain), row), last)
        pieces = tf.strings.substr(tf.gather(plain, row), first, last - first)
        after_blank = tf.gather(tf.not_equal(words.flat_values, plain), row)
        after_blank &= tf.equal(first, 0)
        pieces = tf.where(after_blank, WORD_START + pieces, pieces)
        return _in_texts(words, starts.with_values(with_names(pieces)))

    def tokenize(self, text):
        words = self._words(text)
        ids, _, _ = self._split(tf.strings.strip(words.flat_values))
        return _in_texts(words, ids)

    def join(self, token_ids):
        """Words with blanks between them, also before punctuation."""
        text = tf.strings.reduce_join(
            self.token_strings(token_ids), axis=-1, separator=" "
        )
        return tf.strings.regex_replace(text, " ##", "")

    def save(self, path):
        lines = "\n".join((PADDING_NAME, *self.vocabulary[1:])) + "\n"
        pathlib.Path(path).write_text(lines, encoding="utf-8")

    @classmethod
    def load(cls, path, **options):
        """Read the file `vocab.txt` of a BERT, or what `save` wrote.

        Args:
            path: The file, with a token a line.
            **options: `lowercase`, `strip_accents`, `split_on_cjk`.

        Raises:
            ValueError: The file holds no such vocabulary.
        """
        text = pathlib.Path(path).read_text(encoding="utf-8")
        try:
            return cls(text.removesuffix("\n").split("\n"), **options)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error

    def _normalize(self, text):
        return normalize_bert_text(text, self.lowercase, self.strip_accents)

    def _words(self, text):
        text = self._normalize(text)
        # An empty text has no first word.
        text = tf.where(tf.equal(text, ""), text, " " + text)
        return split_bert_words(text, self.split_on_cjk)

    def _split(self, words):
        """Ragged ids of words, and where in its word each piece stands."""
        return self.word_piece.tokenize_with_offsets(
            tf.where(_is_too_long(words), UNKNOWN_STAND_IN, words)
        )


def _is_too_long(words):
    return tf.strings.length(words, "UTF8_CHAR") > MOST_CHARACTERS


def _num_bytes(words):
    return tf.cast(tf.strings.length(words), tf.int64)


def _in_texts(words, pieces):
    """From the pieces of all words to the pieces of each text."""
    return words.with_values(pieces).merge_dims(1, 2)


def _checked_ids(vocabulary):
    """The place of each token, as a dictionary."""
    ids = {}
    for place, token in enumerate(vocabulary):
        if not token or token in ids:
            raise ValueError(
                f"Line {place + 1} of the vocabulary must be a token that is "
                f"not there before. Received: {token!r}"
            )
        ids[token] = place
    for name in NAMED_TOKENS:
        if name not in ids:
            raise ValueError(
                f"A vocabulary must have the token {name}. "
                f"Received: {len(ids)} others"
            )
    if vocabulary[0] != PADDING_NAME:
        raise ValueError(
            f"The first token of a vocabulary must be {PADDING_NAME}. "
            f"Received: {vocabulary[0]!r}"
        )
    return ids

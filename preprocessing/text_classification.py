"""Texts into token ids, and the names of their classes."""

import pathlib

import tensorflow as tf

from preprocessing.class_names import ClassNames
from preprocessing.configuration_file import read_configuration
from preprocessing.configuration_file import write_configuration
from preprocessing.sequence_limit import SequenceLimit
from preprocessing.special_tokens import PADDING
from preprocessing.translation import append_end
from preprocessing.translation import TOKENIZERS
from preprocessing.word_piece_tokenizer import WordPieceTokenizer

_TASK = "text_classification"
# Those that can be read: the others learn their vocabulary, this one has it.
_STORED = {**TOKENIZERS, WordPieceTokenizer.kind: WordPieceTokenizer}


class TextClassificationPreprocessor(SequenceLimit, tf.Module):
    """The tokenizer, the longest text and the names of the classes.

    It carries all that a fitted classifier needs besides its weights, and is
    saved beside them. Each text begins with the START of the tokenizer, whose
    place can stand for the class, and ends with its END, which are [CLS] and
    [SEP] in BERT; so even an empty one has tokens to attend to.

    Args:
        tokenizer: The tokenizer of the text.
        class_names: Names of the classes, in the order of the labels; None
            for a model without classes, as one of sentence embeddings:
            `classes` is None then.
        max_sequence_length: Most tokens of a text, START and END included.

    Raises:
        ValueError: The names are fewer than two, or one is there twice; or
            no token of the text would have a place.
    """

    def __init__(self, tokenizer, class_names, max_sequence_length):
        super().__init__()
        if max_sequence_length < 3:
            raise ValueError(
                "START, END and one more token must have a place. "
                f"Received: max_sequence_length={max_sequence_length}"
            )
        self.tokenizer = tokenizer
        self.classes = None if class_names is None else ClassNames(class_names)
        self.max_sequence_length = max_sequence_length

    @classmethod
    def train(
        cls,
        texts,
        class_names,
        tokenizer="subword",
        vocabulary_size=8000,
        lowercase=False,
        max_sequence_length=128,
    ):
        """Learn the vocabulary from the training texts.

        Args:
            texts: List of strings.
            class_names: Names of the classes, in the order of the labels.
            tokenizer: `"word"` or `"subword"`.
            vocabulary_size: Most tokens of the vocabulary.
            lowercase: Whether text is lower-cased.
            max_sequence_length: Most tokens of a text, START and END
                included.

        Raises:
            ValueError: `tokenizer` is unknown.
        """
        if tokenizer not in TOKENIZERS:
            raise ValueError(
                f"`tokenizer` must be one of {', '.join(TOKENIZERS)}. "
                f"Received: tokenizer={tokenizer}"
            )
        learned = TOKENIZERS[tokenizer].train(texts, vocabulary_size, lowercase)
        return cls(learned, class_names, max_sequence_length)

    def with_classes(self, class_names):
        """The same preprocessor for other classes."""
        return type(self)(self.tokenizer, class_names, self.max_sequence_length)

    @property
    def vocabulary_size(self):
        """Number of tokens, the special ones included."""
        return self.tokenizer.vocabulary_size

    def encode(self, text, cut=True):
        """Strings to ragged ids, each row from START to END.

        Args:
            text: `(batch_size,)` strings.
            cut: Whether to cut texts that are too long.
        """
        ids = self._surround(
            self.tokenizer.tokenize(self.beginning(text)),
            self.tokenizer.start_id,
            self.tokenizer.end_id,
        )
        return self.cut(ids) if cut else ids

    def pieces(self, text):
        """The strings of the tokens that `encode` gives, padded with "":
        `(batch_size, length)`. Unknown words are shown as they are in the
        text."""
        pieces = self._surround(
            self.tokenizer.pieces(self.beginning(text)),
            self.tokenizer.start,
            self.tokenizer.end,
        )
        return self.cut(pieces).to_tensor(PADDING)

    def save(self, directory):
        """Write the preprocessor into a folder."""
        directory = pathlib.Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        options = self.tokenizer.options
        self.tokenizer.save(directory / f"text{self.tokenizer.file_suffix}")
        write_configuration(
            directory,
            {
                "task": _TASK,
                "tokenizer": self.tokenizer.kind,
                **{x: getattr(self.tokenizer, x) for x in options},
                "max_sequence_length": self.max_sequence_length,
                "class_names": self.classes and self.classes.names,
            },
        )

    @classmethod
    def load(cls, directory):
        """Read what `save` wrote."""
        config = read_configuration(directory, _TASK)
        kind = _STORED[config["tokenizer"]]
        path = pathlib.Path(directory) / f"text{kind.file_suffix}"
        return cls(
            kind.load(path, **{x: config[x] for x in kind.options}),
            config["class_names"],
            config["max_sequence_length"],
        )

    @staticmethod
    def _surround(rows, start, end):
        starts = tf.fill([rows.nrows(), 1], tf.constant(start, rows.dtype))
        rows = tf.concat([tf.RaggedTensor.from_tensor(starts), rows], axis=1)
        return append_end(rows, end)

"""Sentence pairs into token ids, and token ids back into sentences."""

import pathlib

import tensorflow as tf

from preprocessing.configuration_file import read_configuration
from preprocessing.configuration_file import write_configuration
from preprocessing.sequence_limit import SequenceLimit
from preprocessing.special_tokens import END
from preprocessing.special_tokens import END_ID
from preprocessing.special_tokens import PADDING
from preprocessing.subword_tokenizer import SubwordTokenizer
from preprocessing.word_tokenizer import WordTokenizer

_TASK = "translation"
TOKENIZERS = {
    tokenizer.kind: tokenizer for tokenizer in (WordTokenizer, SubwordTokenizer)
}


class TranslationPreprocessor(SequenceLimit, tf.Module):
    """The tokenizers of both languages and the longest sentence.

    It carries all that a fitted model needs besides its weights, and is
    saved beside them. Each source sentence ends with END, so that even an
    empty one has a token to attend to.

    Args:
        source_tokenizer: Tokenizer of the source language.
        target_tokenizer: Tokenizer of the target language.
        max_sequence_length: Most tokens of a sentence, END included.
    """

    def __init__(self, source_tokenizer, target_tokenizer, max_sequence_length):
        super().__init__()
        self.source_tokenizer = source_tokenizer
        self.target_tokenizer = target_tokenizer
        self.max_sequence_length = max_sequence_length

    @classmethod
    def train(
        cls,
        sources,
        targets,
        tokenizer="word",
        vocabulary_size=8000,
        shared_vocabulary=False,
        lowercase=False,
        max_sequence_length=64,
    ):
        """Learn the vocabularies from the training sentences.

        Args:
            sources: List of source strings.
            targets: List of target strings.
            tokenizer: `"word"` or `"subword"`.
            vocabulary_size: Most tokens of each vocabulary.
            shared_vocabulary: Whether both languages share one vocabulary.
            lowercase: Whether text is lower-cased.
            max_sequence_length: Most tokens of a sentence, END included.

        Raises:
            ValueError: If `tokenizer` is unknown.
        """
        if tokenizer not in TOKENIZERS:
            raise ValueError(
                f"`tokenizer` must be one of {', '.join(TOKENIZERS)}. "
                f"Received: tokenizer={tokenizer}"
            )
        train = TOKENIZERS[tokenizer].train
        if shared_vocabulary:
            both = train([*sources, *targets], vocabulary_size, lowercase)
            return cls(both, both, max_sequence_length)
        return cls(
            train(sources, vocabulary_size, lowercase),
            train(targets, vocabulary_size, lowercase),
            max_sequence_length,
        )

    def encode_source(self, text, cut=True):
        """Strings to ragged ids, each row ended by END.

        Args:
            text: `(batch_size,)` strings.
            cut: Whether to cut sentences that are too long.
        """
        ids = append_end(
            self.source_tokenizer.tokenize(self.beginning(text)), END_ID
        )
        return self.cut(ids) if cut else ids

    def source_pieces(self, text):
        """The strings of the tokens that `encode_source` gives, padded with
        "": `(batch_size, source_length)`. Unknown words are shown as they
        are in the text."""
        pieces = append_end(
            self.source_tokenizer.pieces(self.beginning(text)), END
        )
        return self.cut(pieces).to_tensor(PADDING)

    def encode_target(self, text):
        """Strings to ragged ids, each row ended by END."""
        return append_end(
            self.target_tokenizer.tokenize(self.beginning(text)), END_ID
        )

    def decode_target(self, token_ids):
        """Ids `(batch_size, target_length)` to `(batch_size,)` strings."""
        return self.target_tokenizer.detokenize(token_ids)

    def save(self, directory):
        """Write the preprocessor into a folder."""
        directory = pathlib.Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        shared = self.source_tokenizer is self.target_tokenizer
        config = {
            "task": _TASK,
            "tokenizer": self.source_tokenizer.kind,
            "lowercase": self.source_tokenizer.lowercase,
            "shared_vocabulary": shared,
            "max_sequence_length": self.max_sequence_length,
        }
        suffix = self.source_tokenizer.file_suffix
        self.source_tokenizer.save(directory / f"source{suffix}")
        if not shared:
            self.target_tokenizer.save(directory / f"target{suffix}")
        write_configuration(directory, config)

    @classmethod
    def load(cls, directory):
        """Read what `save` wrote."""
        directory = pathlib.Path(directory)
        config = read_configuration(directory, _TASK)
        kind = TOKENIZERS[config["tokenizer"]]

        def read(side):
            path = directory / f"{side}{kind.file_suffix}"
            return kind.load(path, lowercase=config["lowercase"])

        source = read("source")
        target = source if config["shared_vocabulary"] else read("target")
        return cls(source, target, config["max_sequence_length"])


def append_end(rows, end):
    """Add one more value to each row of a ragged tensor."""
    ends = tf.fill([rows.nrows(), 1], tf.constant(end, rows.dtype))
    return tf.concat([rows, tf.RaggedTensor.from_tensor(ends)], axis=1)

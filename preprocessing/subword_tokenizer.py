"""Subwords: a SentencePiece model learned from the training data."""

import hashlib
import io
import pathlib

import sentencepiece
import tensorflow as tf
import tensorflow_text as tf_text

from preprocessing.normalization import normalize_text
from preprocessing.special_tokens import END
from preprocessing.special_tokens import END_ID
from preprocessing.special_tokens import PADDING_ID
from preprocessing.special_tokens import SPECIAL_TOKENS
from preprocessing.special_tokens import START
from preprocessing.special_tokens import START_ID
from preprocessing.special_tokens import UNKNOWN
from preprocessing.special_tokens import UNKNOWN_ID
from preprocessing.tokenizer import batches
from preprocessing.tokenizer import LINES_AT_ONCE
from preprocessing.tokenizer import Tokenizer


class SubwordTokenizer(Tokenizer):
    """Pieces of words, by byte-pair encoding.

    The names of special tokens in a text, as "[END]", are only text; while
    the pieces are learned, SentencePiece skips them.

    Args:
        model: The bytes of a SentencePiece model whose ids 0 to 3 are
            padding, unknown, start and end.
        lowercase: Whether text is lower-cased first.

    References:
        [Sennrich et al., 2016](https://arxiv.org/abs/1508.07909);
        [Kudo and Richardson, 2018](https://arxiv.org/abs/1808.06226).
    """

    kind = "subword"
    file_suffix = ".model"

    def __init__(self, model, lowercase=False):
        super().__init__(lowercase=lowercase)
        self.model = model
        # In an exported graph all tokenizers of one name share one model, the
        # first; those of other exports in the same process, too.
        name = f"sentencepiece_{hashlib.sha256(model).hexdigest()}"
        self.sentencepiece = tf_text.SentencepieceTokenizer(
            model=model, out_type=tf.int32, name=name
        )
        self.splitter = tf_text.SentencepieceTokenizer(
            model=model, out_type=tf.string, name=name
        )
        processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        pieces = processor.id_to_piece(list(range(processor.vocab_size())))
        self.vocabulary = (*SPECIAL_TOKENS, *pieces[len(SPECIAL_TOKENS) :])

    @classmethod
    def train(cls, lines, vocabulary_size, lowercase=False):
        """Learn the pieces; every character of the lines becomes one, but
        U+2585.

        Args:
            lines: Iterable of strings.
            vocabulary_size: Most tokens, the special ones included; fewer
                if the lines do not hold as many.
            lowercase: Whether text is lower-cased first.

        Raises:
            ValueError: If the vocabulary is too small for the characters.
        """
        normalized = []
        for batch in batches(lines, LINES_AT_ONCE):
            text = normalize_text(tf.constant(batch), lowercase).numpy()
            # SentencePiece leaves out a line with this sign, its own mark.
            normalized.extend(
                line.decode().replace("\u2585", " ") for line in text
            )
        model = io.BytesIO()
        try:
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=iter(normalized),
                model_writer=model,
                model_type="bpe",
                vocab_size=vocabulary_size,
                hard_vocab_limit=False,
                character_coverage=1.0,
                # Done by `normalize`, the same for all tokenizers.
                normalization_rule_name="identity",
                max_sentence_length=1 << 20,
                num_threads=1,
                pad_id=PADDING_ID,
                unk_id=UNKNOWN_ID,
                bos_id=START_ID,
                eos_id=END_ID,
                pad_piece="<pad>",
                unk_piece=UNKNOWN,
                bos_piece=START,
                eos_piece=END,
                minloglevel=2,
            )
        except RuntimeError as error:
            raise ValueError(
                "SentencePiece could not learn the subwords: "
                f"{error}. Received: vocabulary_size={vocabulary_size}"
            ) from error
        return cls(model.getvalue(), lowercase=lowercase)

    def pieces(self, text):
        return self.splitter.tokenize(self.normalize(text))

    def tokenize(self, text):
        return self.sentencepiece.tokenize(self.normalize(text))

    def join(self, token_ids):
        return tf.strings.strip(self.sentencepiece.detokenize(token_ids))

    def save(self, path):
        pathlib.Path(path).write_bytes(self.model)

    @classmethod
    def load(cls, path, lowercase=False):
        return cls(pathlib.Path(path).read_bytes(), lowercase=lowercase)

"""Text into tensors and back, the same in training and in the export."""

from preprocessing.subword_tokenizer import SubwordTokenizer
from preprocessing.translation import TranslationPreprocessor
from preprocessing.word_tokenizer import WordTokenizer

__all__ = ["SubwordTokenizer", "TranslationPreprocessor", "WordTokenizer"]

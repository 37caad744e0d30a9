"""Text into tensors and back, the same in training and in the export."""

import json
import pathlib

from preprocessing.subword_tokenizer import SubwordTokenizer
from preprocessing.translation import TranslationPreprocessor
from preprocessing.word_tokenizer import WordTokenizer

__all__ = [
    "SubwordTokenizer",
    "TranslationPreprocessor",
    "WordTokenizer",
    "load_preprocessor",
]

_OF_TASK = {"translation": TranslationPreprocessor}


def load_preprocessor(directory):
    """The preprocessor that was saved in a folder, of whatever task."""
    path = pathlib.Path(directory, "config.json")
    task = json.loads(path.read_text("utf-8"))["task"]
    return _OF_TASK[task].load(directory)

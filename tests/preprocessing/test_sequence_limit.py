"""How much of a text is read, and what says that something is left out."""

import pytest
import tensorflow as tf

from preprocessing.text_classification import TextClassificationPreprocessor
from preprocessing.translation import TranslationPreprocessor

_TEXTS = ["the dog sat", "the cat"]
_BLANKS = 65_536 - len("dog")
_LONG = [" " * _BLANKS + "dog sat", " " * _BLANKS + "dog", "dog"]


def _classification(**options):
    preprocessor = TextClassificationPreprocessor.train(
        _TEXTS, ["a", "b"], vocabulary_size=40, **options
    )
    return preprocessor, preprocessor.encode, preprocessor.pieces


def _translation(**options):
    preprocessor = TranslationPreprocessor.train(
        _TEXTS, _TEXTS, vocabulary_size=40, **options
    )
    return preprocessor, preprocessor.encode_source, preprocessor.source_pieces


@pytest.mark.parametrize("tokenizer", ["word", "subword"])
@pytest.mark.parametrize("make", [_classification, _translation])
def test_what_is_behind_the_bytes_that_are_read(make, tokenizer):
    preprocessor, encode, pieces = make(tokenizer=tokenizer)
    text = tf.constant(_LONG)
    ids = encode(text, cut=False)
    behind, whole, alone = ids.to_list()
    assert behind == whole == alone
    is_cut = preprocessor.is_cut(text, ids).numpy().tolist()
    assert is_cut == [True, False, False]
    strings = pieces(text).numpy().tolist()
    assert strings[0] == strings[2]


@pytest.mark.parametrize("make", [_classification, _translation])
def test_tokens_beyond_the_limit_are_cut(make):
    preprocessor, encode, _ = make(tokenizer="word", max_sequence_length=4)
    text = tf.constant(["dog dog dog dog", "dog"])
    ids = encode(text, cut=False)
    assert preprocessor.is_cut(text, ids).numpy().tolist() == [True, False]


@pytest.mark.parametrize("make", [_classification, _translation])
def test_more_tokens_have_more_bytes(make):
    preprocessor, encode, _ = make(tokenizer="word", max_sequence_length=2000)
    assert preprocessor.max_bytes == 128_000
    text = tf.constant(_LONG[:1])
    ids = encode(text, cut=False)
    assert ids.to_list() == encode(tf.constant(["dog sat"])).to_list()
    assert not preprocessor.is_cut(text, ids)[0]

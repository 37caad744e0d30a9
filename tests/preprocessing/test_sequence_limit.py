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


@pytest.mark.parametrize("tokenizer", ["word", "subword"])
@pytest.mark.parametrize("make", [_classification, _translation])
def test_no_character_is_cut_in_two(make, tokenizer):
    preprocessor, encode, _ = make(tokenizer=tokenizer)
    # One of the two bytes of the first é would be read.
    blanks = " " * (65_536 - len("dog") - 1)
    text = tf.constant([blanks + "dogé", "dog", blanks + "dog" + "é" * 9])
    cut, alone, longer = encode(text, cut=False).to_list()
    assert cut == alone == longer
    assert preprocessor.is_cut(text, encode(text, cut=False)).numpy().tolist()[
        ::2
    ] == [True, True]
    # What is no UTF-8 counts as what stands for it, three bytes.
    broken = tf.constant([b"\xff" * 30_000 + b" dog", b"\xff dog"])
    ids = encode(broken, cut=False)
    assert preprocessor.is_cut(broken, ids)[0]
    assert ids.to_list()[0][-2:] != ids.to_list()[1][-2:]


@pytest.mark.parametrize("make", [_classification, _translation])
def test_lengths_count_what_is_not_read(make):
    preprocessor, encode, _ = make(tokenizer="word", max_sequence_length=5)
    text = tf.constant([*_LONG, "dog " * 9])
    ids = encode(text, cut=False)
    around = len(ids[2]) - 1
    lengths = preprocessor.lengths(text, ids).numpy().tolist()
    assert lengths == [6, 1 + around, 1 + around, 9 + around]

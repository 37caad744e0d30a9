"""Links between the words and tokens of two sentences, by hand."""

import numpy as np
import pytest
import tensorflow as tf

import datasets
from preprocessing import SubwordTokenizer
from preprocessing import WordTokenizer
from preprocessing.alignment import attention_links
from preprocessing.alignment import gold_links
from preprocessing.alignment import in_lower_case
from preprocessing.alignment import joined
from preprocessing.alignment import token_links
from preprocessing.alignment import token_spans
from preprocessing.alignment import token_words
from preprocessing.alignment import word_spans
from preprocessing.special_tokens import SPECIAL_TOKENS

SOURCE, TARGET = "March 5, 2021", "5 mars 2021"
#                 0     6  9        0 2    7
ALIGNMENT = [[0, 5, 2, 6], [6, 7, 0, 1], [9, 13, 7, 11]]
SOURCE_TOKENS = ["▁March", "▁5", ",", "▁2", "0", "2", "1"]
TARGET_TOKENS = ["▁5", "▁mars", "▁2", "0", "2", "1"]


def _words(text):
    return [text[start:end] for start, end in word_spans(text)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        ("  ", []),
        ("March 5, 2021", ["March", "5", ",", "2021"]),
        ("a_b", ["a", "_", "b"]),
        ("x12y", ["x", "12", "y"]),
        ("3.5%", ["3", ".", "5", "%"]),
        ("...", [".", ".", "."]),
        ("l'été", ["l", "'", "été"]),
        ("3\u202f000", ["3", "000"]),
        ("2021年3月", ["2021", "年", "3", "月"]),
        ("e\u0301", ["e\u0301"]),
        ("e\u0301tude n", ["e\u0301tude", "n"]),
        ("हिन्दी शब्द", ["हिन्दी", "शब्द"]),
        ("5\u0308", ["5\u0308"]),
        ("☀\ufe0fab", ["☀\ufe0f", "ab"]),
        ("\u0301a", ["\u0301", "a"]),
        ("٣٤", ["٣٤"]),
    ],
)
def test_words(text, words):
    assert _words(text) == words


@pytest.mark.parametrize(
    ("tokens", "spans"),
    [
        ([], []),
        (["▁ab", "c", "▁d"], [(0, 2), (2, 3), (4, 5)]),
        (["▁", "ab", "▁", "c"], [None, (0, 2), None, (3, 4)]),
        (["ab▁c"], [(0, 4)]),
        (
            SOURCE_TOKENS,
            [(0, 5), (6, 7), (7, 8), *((i, i + 1) for i in range(9, 13))],
        ),
    ],
)
def test_token_spans(tokens, spans):
    assert token_spans(tokens) == spans


@pytest.mark.parametrize("kind", [WordTokenizer, SubwordTokenizer])
def test_tokens_stand_where_their_text_stands(kind):
    loaded = datasets.load(
        "phrases",
        target_language="ja",
        num_train=200,
        num_validation=0,
        num_test=0,
    )
    texts = [
        example[side].numpy().decode()
        for example in loaded.splits["train"]
        for side in ("source", "target")
    ]
    tokenizer = kind.train(texts, 600)
    for text, row in zip(texts, tokenizer.pieces(tf.constant(texts)).to_list()):
        tokens = [token.decode() for token in row]
        (normalized,) = tokenizer.normalize(tf.constant([text])).numpy()
        # Spans are used on the text as it was: the lengths must agree.
        assert len(normalized.decode()) == len(text)
        for token, span in zip(tokens, token_spans(tokens)):
            found = "" if span is None else normalized.decode()[slice(*span)]
            assert found == token.replace("▁", "").strip()
        assert token_words(tokens, word_spans(text)).any(axis=0).all()


def test_token_words():
    overlap = token_words(["▁Mar", "ch", "▁", "5,"], word_spans("March 5,"))
    assert overlap.tolist() == [
        [True, False, False],
        [True, False, False],
        [False, False, False],
        [False, True, True],
    ]


def test_words_that_are_given_are_joined():
    text, words = joined(["ab", "", "c", ""])
    assert text == "ab c"
    assert words == [(0, 2), (2, 2), (3, 4), (4, 4)]
    # One token of all: nothing stands in a word of no characters.
    overlap = token_words(["ab▁c"], words)
    assert overlap.tolist() == [[True, False, True, False]]
    assert joined([]) == ("", [])
    assert joined(["", "a"]) == ("a", [(0, 0), (0, 1)])


def test_an_alignment_in_lower_case():
    rows, source, target = in_lower_case([[0, 3, 8, 12]], "Mai", "İİtalya MART")
    assert source == "mai"
    (row,) = rows
    assert row[:2] == [0, 3]
    assert target[slice(*row[2:])] == "mart"
    assert in_lower_case([], "A", "İ") == ([], "a", "i\u0307")


def test_gold_links_of_a_date():
    # Source words: March 5 , 2021. Target words: 5 mars 2021.
    sure, possible = gold_links(ALIGNMENT, SOURCE, TARGET)
    assert sure == possible == {(0, 1), (1, 0), (3, 2)}


def test_gold_links_of_several_words_are_only_possible():
    # "the Netherlands" / "Pays-Bas": the hyphen is left out.
    sure, possible = gold_links([[0, 15, 0, 8]], "the Netherlands", "Pays-Bas")
    assert sure == set()
    assert possible == {(0, 0), (0, 2), (1, 0), (1, 2)}


def test_gold_links_of_a_sign_alone():
    sure, possible = gold_links([[0, 1, 2, 3]], "$ 5", "5 €")
    assert sure == possible == {(0, 1)}


def test_gold_links_without_rows():
    assert gold_links([], SOURCE, TARGET) == (set(), set())


def test_links_of_tokens_go_digit_by_digit():
    links = token_links(ALIGNMENT, SOURCE, TARGET, SOURCE_TOKENS, TARGET_TOKENS)
    # (target token, source token)
    assert links == [(0, 1), (1, 0), (2, 3), (3, 4), (4, 5), (5, 6)]


def test_links_of_other_digits_are_of_the_whole_field():
    links = token_links([[0, 2, 0, 1]], "12", "7", ["▁1", "2"], ["▁7"])
    assert links == [(0, 0), (0, 1)]


def test_links_of_digits_pass_over_separators():
    # 3,000 / 3 000: neither comma nor blank has a link.
    links = token_links(
        [[0, 5, 0, 5]],
        "3,000",
        "3 000",
        ["▁3", ",", "0", "0", "0"],
        ["▁3", "▁0", "0", "0"],
    )
    assert links == [(0, 0), (1, 2), (2, 3), (3, 4)]


def test_links_of_subwords():
    links = token_links(
        [[0, 5, 0, 4]], "March", "mars", ["▁Mar", "ch"], ["▁m", "ars"]
    )
    assert links == [(0, 0), (0, 1), (1, 0), (1, 1)]


def test_attention_links_add_up_the_tokens_of_a_word():
    # Source "ab c" in three tokens, target "xy z" in three.
    source = token_words(["▁a", "b", "▁c"], word_spans("ab c"))
    target = token_words(["▁x", "y", "▁z"], word_spans("xy z"))
    scores = np.array([[0.3, 0.3, 0.4], [0.2, 0.2, 0.6], [0.6, 0.3, 0.1]])
    # x and y together: 1.0 to "ab" against 1.0 to "c": the first wins;
    # z: 0.9 against 0.1.
    assert attention_links(scores, source, target) == {(0, 0), (0, 1)}
    scores[1] = [0.1, 0.1, 0.8]
    assert attention_links(scores, source, target) == {(1, 0), (0, 1)}


def test_attention_links_of_what_the_model_did_not_see():
    words = token_words(["▁x", "▁y"], word_spans("x y"))
    scores = np.array([[0.2, 0.8]])
    # The second target word has no token here.
    assert attention_links(scores, words, words[:1]) == {(1, 0)}


def test_attention_links_without_words():
    none = np.zeros((0, 0), bool)
    assert attention_links(np.zeros((0, 0)), none, none) == set()
    target = token_words(["▁x"], [(0, 1)])
    assert attention_links(np.zeros((1, 0)), none, target) == set()


def test_attention_on_the_gold_tokens_gives_the_gold_links():
    tokenizer = WordTokenizer(SPECIAL_TOKENS)
    tokens = [
        [piece.decode() for piece in row]
        for row in tokenizer.pieces(tf.constant([SOURCE, TARGET])).to_list()
    ]
    assert tokens == [SOURCE_TOKENS, TARGET_TOKENS]
    scores = np.zeros((6, 7))
    for target, source in token_links(ALIGNMENT, SOURCE, TARGET, *tokens):
        scores[target, source] = 1
    links = attention_links(
        scores,
        token_words(tokens[0], word_spans(SOURCE)),
        token_words(tokens[1], word_spans(TARGET)),
    )
    assert links == gold_links(ALIGNMENT, SOURCE, TARGET)[0]

import json

import pytest
import tensorflow as tf

import preprocessing
from preprocessing import TextClassificationPreprocessor
from preprocessing.special_tokens import END_ID
from preprocessing.special_tokens import START_ID
from preprocessing.special_tokens import UNKNOWN_ID

TEXTS = ["the cat sat", "a dog ran 12 miles", "the dog sat"]
CLASSES = ["good", "bad"]


def make(**options):
    return TextClassificationPreprocessor.train(
        TEXTS, CLASSES, **{"vocabulary_size": 40, **options}
    )


def test_ids_by_hand():
    preprocessor = make(tokenizer="word")
    # By number of occurrences (1 and 2 are digits), then by spelling.
    words = preprocessor.tokenizer.vocabulary[4:]
    assert words[:3] == ("▁dog", "▁sat", "▁the")
    assert preprocessor.vocabulary_size == 4 + len(words)
    ids = preprocessor.encode(tf.constant(["the dog sat", "dog zebra", ""]))
    assert ids.dtype == tf.int32
    assert ids.to_list() == [
        [START_ID, 6, 4, 5, END_ID],
        [START_ID, 4, UNKNOWN_ID, END_ID],
        [START_ID, END_ID],
    ]


def test_pieces_stand_where_the_ids_do():
    preprocessor = make(tokenizer="word", max_sequence_length=4)
    text = tf.constant(["the dog sat", "zebra", ""])
    pieces = preprocessor.pieces(text).numpy().tolist()
    assert [[piece.decode() for piece in row] for row in pieces] == [
        ["[START]", "▁the", "▁dog", "[END]"],
        ["[START]", "▁zebra", "[END]", ""],
        ["[START]", "[END]", "", ""],
    ]
    ids = preprocessor.encode(text)
    assert ids.row_lengths().numpy().tolist() == [4, 3, 2]


@pytest.mark.parametrize("tokenizer", ["word", "subword"])
def test_truncation_keeps_both_ends(tokenizer):
    preprocessor = make(tokenizer=tokenizer, max_sequence_length=5)
    text = tf.constant(["the cat sat " * 9000, "the"])  # 108,000 characters
    whole = preprocessor.encode(text, cut=False)
    assert whole.row_lengths()[0] > 10_000
    ids = preprocessor.encode(text)
    assert ids.row_lengths()[0] == 5
    assert ids[0].numpy().tolist() == [*whole[0, :4].numpy().tolist(), END_ID]
    assert ids[1].numpy().tolist() == whole[1].numpy().tolist()
    assert ids[:, :1].to_list() == [[START_ID], [START_ID]]


def test_a_text_of_exactly_the_limit_is_not_cut():
    preprocessor = make(tokenizer="word", max_sequence_length=5)
    text = tf.constant(["the dog sat"])
    assert (
        preprocessor.encode(text).to_list()
        == preprocessor.encode(text, cut=False).to_list()
    )


@pytest.mark.parametrize("empty", ["", "  ", "\0", "\u2028"])
@pytest.mark.parametrize("tokenizer", ["word", "subword"])
def test_empty_texts(tokenizer, empty):
    ids = make(tokenizer=tokenizer).encode(tf.constant([empty]))
    assert ids.to_list() == [[START_ID, END_ID]]


def test_a_batch_of_nothing():
    ids = make().encode(tf.constant([], tf.string))
    assert ids.nrows() == 0


@pytest.mark.parametrize("lowercase", [False, True])
@pytest.mark.parametrize("tokenizer", ["word", "subword"])
def test_saved_and_loaded_is_the_same(tokenizer, lowercase, tmp_path):
    preprocessor = make(
        tokenizer=tokenizer, lowercase=lowercase, max_sequence_length=7
    )
    folder = tmp_path / "deep" / "folder"
    preprocessor.save(folder)
    loaded = preprocessing.load_preprocessor(folder)
    assert type(loaded) is TextClassificationPreprocessor
    text = tf.constant([*TEXTS, "THE Été zebra " * 3])
    assert loaded.encode(text).to_list() == preprocessor.encode(text).to_list()
    assert loaded.classes.names == ("good", "bad")
    assert loaded.tokenizer.lowercase == lowercase
    assert loaded.max_sequence_length == 7


def test_another_task_is_refused(tmp_path):
    make().save(tmp_path)
    for other in (
        preprocessing.TranslationPreprocessor,
        preprocessing.ImagePreprocessor,
    ):
        with pytest.raises(
            ValueError, match="Received: task='text_classification'"
        ):
            other.load(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text("utf-8"))
    assert config["class_names"] == CLASSES


@pytest.mark.parametrize(
    "options, message",
    [
        ({"tokenizer": "letters"}, "tokenizer=letters"),
        ({"max_sequence_length": 2}, "max_sequence_length=2"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        make(**options)

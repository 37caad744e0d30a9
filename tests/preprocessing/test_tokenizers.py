import pytest
import tensorflow as tf

import datasets
from preprocessing import SubwordTokenizer
from preprocessing import WordTokenizer
from preprocessing.special_tokens import SPECIAL_TOKENS
from preprocessing.special_tokens import UNKNOWN_ID

_KINDS = [WordTokenizer, SubwordTokenizer]
_PARTNERS = ["fr", "de", "es", "it", "nl", "pt", "pl", "ru", "ja"]

_HOSTILE = [
    "",
    "   ",
    "\0",
    "a\0b",
    "[END]",
    "[PAD] [UNK] [START] [END] [END]x",
    "<pad> <s> </s> <unk> <0x0A>",
    "\u2581",
    "\u2581\u2581 a \u2581b",
    "▅ ⁇ \ufffd",
    "👩\u200d👩\u200d👧 🇫🇷 ☀\ufe0f",
    "مرحبا بالعالم 12",
    "עברית",
    "हिन्दी ไทย 한국어 漢字かな",
    "𝕏 𒀀 \U000e0041 \ue000 \uffff",
    "e\u0301\u0302\u0303\u0304",
    "x" * 10_000,
    "a b " * 2_500,
    "1234567890 １２ ½ ² Ⅻ",
    "\u202eabc\u202c \u200f",
    "\t\r\n",
    "'\"`.,;:!?()[]{}<>@#$%^&*-_=+|\\/~",
]
_BROKEN = [b"\xff\xfe", b"abc\xc3", b"\xed\xa0\x80", b"a\x80b c"]


@pytest.fixture(scope="module")
def texts():
    """Ten languages: 60 phrases of each."""
    found = []
    for language in _PARTNERS:
        loaded = datasets.load(
            "phrases",
            source_language="en",
            target_language=language,
            num_train=60,
            num_validation=0,
            num_test=0,
        )
        sides = ("source", "target") if not found else ("target",)
        found += [
            example[side].numpy().decode()
            for example in loaded.splits["train"]
            for side in sides
        ]
    return found


@pytest.fixture(scope="module", params=_KINDS, ids=lambda kind: kind.kind)
def trained(request, texts):
    return request.param.train(texts, 3000)


def _normalized(tokenizer, text):
    return [line.decode() for line in tokenizer.normalize(text).numpy()]


def _round_trip(tokenizer, text):
    joined = tokenizer.detokenize(tokenizer.tokenize(text))
    return [line.decode() for line in joined.numpy()]


def test_text_of_ten_languages_comes_back(trained, texts):
    text = tf.constant(texts)
    ids = trained.tokenize(text)
    assert not (ids.flat_values == UNKNOWN_ID).numpy().any()
    assert _round_trip(trained, text) == _normalized(trained, text)


@pytest.mark.parametrize("lowercase", [False, True])
@pytest.mark.parametrize("kind", _KINDS, ids=lambda kind: kind.kind)
def test_hostile_text_comes_back(kind, lowercase):
    tokenizer = kind.train(_HOSTILE * 3, 2000, lowercase=lowercase)
    known = [
        text
        for text in _HOSTILE
        if UNKNOWN_ID not in tokenizer.tokenize(tf.constant([text]))[0]
    ]
    if kind is WordTokenizer:
        assert known == _HOSTILE
    assert len(known) >= len(_HOSTILE) - 5
    text = tf.constant(known)
    assert _round_trip(tokenizer, text) == _normalized(tokenizer, text)


@pytest.mark.parametrize("untrained", [False, True])
@pytest.mark.parametrize("kind", _KINDS, ids=lambda kind: kind.kind)
def test_pieces_stand_beside_ids(kind, untrained, texts):
    # `explain` writes these pieces beside the attention on those ids.
    tokenizer = kind.train(["a b c"] if untrained else texts, 400)
    for text in [*_HOSTILE, *_BROKEN]:
        text = tf.constant([text])
        pieces, ids = tokenizer.pieces(text), tokenizer.tokenize(text)
        assert pieces.row_lengths() == ids.row_lengths(), text
        assert b"" not in pieces.flat_values.numpy().tolist()
        whole = tf.strings.reduce_join(pieces, axis=-1).numpy()[0].decode()
        expected = _normalized(tokenizer, text)[0]
        assert whole.replace("\u2581", " ").strip() == expected


def test_known_pieces_are_the_tokens_themselves(trained, texts):
    text = tf.constant(texts)
    strings = trained.token_strings(trained.tokenize(text).flat_values)
    pieces = trained.pieces(text).flat_values
    assert pieces.numpy().tolist() == strings.numpy().tolist()


@pytest.mark.parametrize("kind", _KINDS, ids=lambda kind: kind.kind)
@pytest.mark.parametrize(
    "typed",
    [
        *("[END]", "[START]", "[UNK]", "<pad>", "<s>", "</s>", "<unk>"),
        *("\u2581", "", "[PAD]"),
    ],
)
def test_names_of_special_tokens_are_only_text(kind, typed):
    # Learned from lines that are full of them, as a user may have. The
    # subwords leave them out of the learning, so their letters stand alone.
    lines = [typed, f"a{typed}b {typed}", " ".join(typed)]
    tokenizer = kind.train(lines * 50, 100)
    for text in (typed, f"{typed} {typed}", f"a{typed}b"):
        ids = tokenizer.tokenize(tf.constant([text]))
        assert all(token > 3 for token in ids.flat_values.numpy()), text
        text = tf.constant([text])
        assert _round_trip(tokenizer, text) == _normalized(tokenizer, text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("Hello, world!", ["▁Hello", ",", "▁world", "!"]),
        ("1234", ["▁1", "2", "3", "4"]),
        ("5 mars 2021", ["▁5", "▁mars", "▁2", "0", "2", "1"]),
        ("3.14 €", ["▁3", ".", "1", "4", "▁€"]),
        ("l'été", ["▁l", "'", "été"]),
        ("ex-mari", ["▁ex", "-", "mari"]),
        ("a_b", ["▁a", "_", "b"]),
        ("2021年3月", ["▁2", "0", "2", "1", "年", "3", "月"]),
        ("漢字", ["▁漢", "字"]),
        ("の年", ["▁の", "年"]),
        ("ABC株式", ["▁ABC", "株", "式"]),
        ("हिन्दी", ["▁हिन्दी"]),
        ("[END]", ["▁[", "END", "]"]),
        ("a1b", ["▁a", "1", "b"]),
        ("🇫🇷", ["▁🇫", "🇷"]),
    ],
)
def test_pieces_of_words(text, expected):
    tokenizer = WordTokenizer(SPECIAL_TOKENS)
    (pieces,) = tokenizer.pieces(tf.constant([text])).to_list()
    assert [piece.decode() for piece in pieces] == expected


def test_vocabulary_is_the_most_frequent_pieces_ties_by_spelling():
    lines = ["b a c", "b a c", "b", "d"]
    tokenizer = WordTokenizer.train(lines, 7)
    assert tokenizer.vocabulary == (*SPECIAL_TOKENS, "▁b", "▁a", "▁c")
    assert tokenizer.vocabulary_size == 7
    unknown = tokenizer.tokenize(tf.constant(["a d b"]))
    assert unknown.to_list() == [[5, UNKNOWN_ID, 4]]
    joined = tokenizer.detokenize(unknown).numpy()
    assert joined.tolist() == [b"a[UNK] b"]


@pytest.mark.parametrize("kind", _KINDS, ids=lambda kind: kind.kind)
def test_vocabulary_is_limited_and_begins_with_the_special_tokens(kind, texts):
    for limit in (300, 500):
        tokenizer = kind.train(texts, limit)
        assert tokenizer.vocabulary_size <= limit
        assert tokenizer.vocabulary[:4] == SPECIAL_TOKENS
        assert len(set(tokenizer.vocabulary)) == tokenizer.vocabulary_size
        assert max(tokenizer.tokenize(texts).flat_values.numpy()) < limit


def test_too_small_a_subword_vocabulary_is_refused(texts):
    with pytest.raises(ValueError, match="vocabulary_size=10"):
        SubwordTokenizer.train(texts, 10)


def test_a_vocabulary_without_special_tokens_is_refused():
    with pytest.raises(ValueError, match="must begin with"):
        WordTokenizer(["a", "b", "c", "d", "e"])


@pytest.mark.parametrize("kind", _KINDS, ids=lambda kind: kind.kind)
def test_learning_is_deterministic(kind, texts):
    first, second = (kind.train(iter(texts), 400) for _ in range(2))
    assert first.vocabulary == second.vocabulary
    assert first.tokenize(texts).to_list() == second.tokenize(texts).to_list()


@pytest.mark.parametrize("lowercase", [False, True])
@pytest.mark.parametrize("kind", _KINDS, ids=lambda kind: kind.kind)
def test_saved_and_loaded_is_the_same(kind, lowercase, texts, tmp_path):
    tokenizer = kind.train([*texts, *_HOSTILE], 700, lowercase=lowercase)
    path = tmp_path / f"vocabulary{kind.file_suffix}"
    tokenizer.save(path)
    loaded = kind.load(path, lowercase=lowercase)
    assert loaded.vocabulary == tokenizer.vocabulary
    text = tf.constant([*texts, *_HOSTILE, "ÄÖ never seen Ω"])
    ids = tokenizer.tokenize(text)
    assert loaded.tokenize(text).to_list() == ids.to_list()
    assert (
        loaded.detokenize(ids).numpy().tolist()
        == tokenizer.detokenize(ids).numpy().tolist()
    )


def test_detokenize_stops_at_the_first_end(trained):
    (ids,) = trained.tokenize(tf.constant(["2021"])).to_list()
    rows = tf.constant(
        [
            [2, *ids, 3, *ids],  # START, text, END, more
            [*ids, 3] + [0] * (len(ids) + 1),
            [3] + [0] * (2 * len(ids) + 1),
            [0] * (2 * len(ids) + 2),
        ],
        tf.int32,
    )
    texts = trained.detokenize(rows).numpy().tolist()
    assert texts == [b"2021", b"2021", b"", b""]


def test_token_strings_of_padding_are_empty(trained):
    strings = trained.token_strings(tf.constant([[3, 0], [2, 1]]))
    assert strings.numpy().tolist() == [[b"[END]", b""], [b"[START]", b"[UNK]"]]


def test_the_same_in_a_saved_graph(trained, texts, tmp_path):
    module = tf.Module()
    module.tokenizer = trained
    spec = [tf.TensorSpec([None], tf.string)]

    @tf.function(input_signature=spec)
    def run(text):
        ids = trained.tokenize(text)
        return {
            "ids": ids.to_tensor(-1),
            "pieces": trained.pieces(text).to_tensor(),
            "text": trained.detokenize(ids),
        }

    module.run = run
    tf.saved_model.save(module, str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))
    text = tf.constant([*texts[:50], *_HOSTILE])
    answer = loaded.run(text)
    ids = trained.tokenize(text)
    assert answer["ids"].numpy().tolist() == ids.to_tensor(-1).numpy().tolist()
    assert (
        answer["text"].numpy().tolist()
        == trained.detokenize(ids).numpy().tolist()
    )
    assert (
        answer["pieces"].numpy().tolist()
        == trained.pieces(text).to_tensor().numpy().tolist()
    )

import json
import pathlib

import pytest
import tensorflow as tf

from preprocessing import WordPieceTokenizer

GOLDEN = pathlib.Path(__file__).parent / "golden" / "word_piece.json"
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = ["un", "##aff", "##able", "##a", "the", "ete", "a", "]", "[", "pad"]
# unaffable -> un ##aff ##able; unaffx is unknown as a whole.
VOCABULARY = [*SPECIAL, *WORDS, "##b", "!", "漢", "é"]


@pytest.fixture(scope="module")
def golden():
    return json.loads(GOLDEN.read_text("utf-8"))


def made(golden, settings):
    return WordPieceTokenizer(
        golden["vocabulary"],
        lowercase=settings["do_lower_case"],
        strip_accents=settings.get("strip_accents"),
        split_on_cjk=settings.get("tokenize_chinese_chars", True),
    )


def ids_of(tokenizer, text):
    return tokenizer.tokenize(tf.constant([text])).to_list()[0]


def pieces_of(tokenizer, text):
    (pieces,) = tokenizer.pieces(tf.constant([text])).to_list()
    return [piece.decode() for piece in pieces]


# The ids.


@pytest.mark.parametrize(
    "text, tokens",
    [
        ("", []),
        ("The unaffable!", ["the", "un", "##aff", "##able", "!"]),
        # The longest beginning is taken, also where a shorter one would do.
        ("unaffaab", ["un", "##aff", "##a", "##a", "##b"]),
        ("unaffx the", ["[UNK]", "the"]),
        ("ÉTÉ e\u0301te\u0301", ["ete", "ete"]),
        ("a漢漢a!", ["a", "漢", "漢", "a", "!"]),
        ("t\u200bhe\x00", ["the"]),
        ("the\u00a0the\u3000the\tthe", ["the"] * 4),
        ("x[MASK]the [SEP]", ["[UNK]", "[MASK]", "the", "[SEP]"]),
        ("[mask]", ["[", "[UNK]", "]"]),
        # 0 means that nothing is there.
        ("[PAD]", ["[", "pad", "]"]),
        ("\ue003 \ue000", []),
        ("a" * 100, ["a", *["##a"] * 99]),
        ("a" * 101, ["[UNK]"]),
        ("a" * 101 + "漢" + "a" * 500, ["[UNK]", "漢", "[UNK]"]),
    ],
)
def test_ids_by_hand(text, tokens):
    tokenizer = WordPieceTokenizer(VOCABULARY)
    expected = [VOCABULARY.index(token) for token in tokens]
    assert ids_of(tokenizer, text) == expected


def test_accents_and_case_are_kept_apart():
    tokens = {}
    for lowercase in (False, True):
        for strip_accents in (None, False, True):
            tokenizer = WordPieceTokenizer(
                [*SPECIAL, "É", "é", "E", "e"], lowercase, strip_accents
            )
            (place,) = ids_of(tokenizer, "É")
            tokens[lowercase, strip_accents] = tokenizer.vocabulary[place]
    assert list(tokens.values()) == ["É", "É", "E", "e", "é", "e"]


def test_chinese_characters_may_stay_together():
    tokenizer = WordPieceTokenizer([*VOCABULARY, "漢漢"], split_on_cjk=False)
    assert ids_of(tokenizer, "漢漢 漢") == [len(VOCABULARY), 17]


def test_which_characters_stand_alone():
    tokenizer = WordPieceTokenizer(VOCABULARY, lowercase=False)
    ends = "\u3400\u4dbf\u4e00\u9fff\uf900\ufaff\U00020000\U0002a6df"
    ends += "\U0002a700\U0002b81f\U0002b920\U0002ceaf\U0002f800\U0002fa1f"
    for character in ends + "!$^`~«、":
        pieces = pieces_of(tokenizer, f"a{character}a")
        assert pieces == ["▁a", character, "a"], ascii(character)
    for character in "\u33ff\ua000\U0002b820\U0002ceb0かカ한€°":
        text = f"a{character}a"
        assert pieces_of(tokenizer, text) == [f"▁{text}"], ascii(character)


@pytest.mark.parametrize("number", range(4))
def test_ids_of_transformers(golden, number):
    settings = golden["settings"][number]
    tokenizer = made(golden, settings)
    assert len(golden["texts"]) == 450
    found = tokenizer.tokenize(tf.constant(golden["texts"])).to_list()
    for text, ids, expected in zip(golden["texts"], found, settings["ids"]):
        assert ids == expected, text


def test_one_by_one_as_all_together(golden):
    tokenizer = made(golden, golden["settings"][0])
    texts = golden["texts"][15:30]
    together = tokenizer.tokenize(tf.constant(texts))
    assert together.dtype == tf.int32
    assert together.to_list() == [ids_of(tokenizer, text) for text in texts]


def test_broken_bytes_and_no_texts():
    tokenizer = WordPieceTokenizer(VOCABULARY)
    ids = tokenizer.tokenize(tf.constant([b"the\xff the", b"\xed\xa0\x80"]))
    assert ids.to_list() == [[9, 9], []]
    assert tokenizer.tokenize(tf.constant([], tf.string)).nrows() == 0
    assert tokenizer.pieces(tf.constant([], tf.string)).nrows() == 0


def test_a_long_text():
    ids = ids_of(WordPieceTokenizer(VOCABULARY), "the unaffable! " * 7000)
    assert ids == [9, 5, 6, 7, 16] * 7000


# The strings.


@pytest.mark.parametrize("number", range(4))
def test_pieces_stand_beside_ids(golden, number):
    # `explain` writes these pieces beside the attention on those ids.
    tokenizer = made(golden, golden["settings"][number])
    text = tf.constant(golden["texts"])
    pieces, ids = tokenizer.pieces(text), tokenizer.tokenize(text)
    lengths = pieces.row_lengths().numpy().tolist()
    assert lengths == ids.row_lengths().numpy().tolist()
    assert b"" not in pieces.flat_values.numpy().tolist()
    whole = tf.strings.reduce_join(pieces, axis=-1).numpy().tolist()
    normalized = tokenizer.normalize(text).numpy().tolist()
    for one, other in zip(whole, normalized):
        one, other = one.decode(), other.decode()
        if "▁" not in other:
            assert one.replace("▁", " ").strip() == other


def test_pieces_by_hand():
    tokenizer = WordPieceTokenizer(VOCABULARY)
    assert pieces_of(tokenizer, " Unaffable! a漢x[MASK] ") == [
        *("▁un", "aff", "able", "!", "▁a", "漢", "x", "[MASK]")
    ]
    assert pieces_of(tokenizer, "\ue003é" + "É" * 101) == ["▁" + "e" * 102]


def test_known_pieces_are_the_tokens(golden):
    tokenizer = made(golden, golden["settings"][0])
    text = tf.constant(golden["texts"])
    pieces = tokenizer.pieces(text).flat_values.numpy().tolist()
    ids = tokenizer.tokenize(text).flat_values
    strings = tokenizer.token_strings(ids).numpy().tolist()
    for piece, string in zip(pieces, strings):
        if string != b"[UNK]":
            plain = string.decode().removeprefix("##")
            assert piece.decode() in (plain, f"▁{plain}")


def test_back_to_text():
    tokenizer = WordPieceTokenizer(VOCABULARY)
    rows = [[2, 9, 5, 6, 7, 16, 4, 3, 9, 0], [1, 9, 3, 0, 0, 0, 0, 0, 0, 0]]
    texts = tokenizer.detokenize(tf.constant(rows)).numpy().tolist()
    assert texts == [b"the unaffable ! [MASK]", b"[UNK] the"]
    strings = tokenizer.token_strings(tf.constant(rows[1][:4]))
    assert strings.numpy().tolist() == [b"[UNK]", b"the", b"[SEP]", b""]


# The vocabulary.


def test_special_tokens_are_found_by_their_names():
    shuffled = ["[PAD]", "the", "[SEP]", "[MASK]", "a", "[UNK]", "[CLS]"]
    tokenizer = WordPieceTokenizer(shuffled)
    assert (tokenizer.start_id, tokenizer.end_id) == (6, 2)
    assert (tokenizer.unknown_id, tokenizer.mask_id) == (5, 3)
    assert ids_of(tokenizer, "the x [MASK]") == [1, 5, 3]
    assert tokenizer.vocabulary_size == 7
    texts = tokenizer.detokenize(tf.constant([[6, 1, 5, 4, 2, 1]]))
    assert texts.numpy().tolist() == [b"the [UNK] a"]


@pytest.mark.parametrize("options", [{}, {"split_on_cjk": False}])
def test_saved_and_loaded_is_the_same(options, golden, tmp_path):
    options = {"lowercase": False, "strip_accents": True, **options}
    tokenizer = WordPieceTokenizer(golden["vocabulary"], **options)
    path = tmp_path / "vocab.txt"
    tokenizer.save(path)
    lines = "".join(f"{token}\n" for token in golden["vocabulary"])
    assert path.read_text("utf-8") == lines
    # As an editor of another system leaves it.
    path.write_bytes(lines.removesuffix("\n").replace("\n", "\r\n").encode())
    loaded = WordPieceTokenizer.load(path, **options)
    assert loaded.vocabulary == tokenizer.vocabulary
    for option in WordPieceTokenizer.options:
        assert getattr(loaded, option) == getattr(tokenizer, option)
    text = tf.constant(golden["texts"])
    ids = tokenizer.tokenize(text).to_list()
    assert loaded.tokenize(text).to_list() == ids


@pytest.mark.parametrize(
    "vocabulary, message",
    [
        ([*SPECIAL[1:], "[PAD]"], r"must be \[PAD\]\. Received: '\[UNK\]'"),
        ([*SPECIAL, "a", "b", "a"], "Line 8 .*not there before.*'a'"),
        ([*SPECIAL, "", "a"], "Line 6 .*Received: ''"),
        ([x for x in SPECIAL if x != "[CLS]"], r"the token \[CLS\]"),
        ([x for x in SPECIAL if x != "[MASK]"], r"the token \[MASK\]"),
        (["a"], r"the token \[UNK\]"),
    ],
)
def test_a_vocabulary_that_is_not_of_bert(vocabulary, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        WordPieceTokenizer(vocabulary)
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join(vocabulary) + "\n", "utf-8")
    with pytest.raises(ValueError, match=rf"vocab\.txt: .*{message}"):
        WordPieceTokenizer.load(path)


# In graphs.


def test_in_an_input_pipeline(golden):
    tokenizer = made(golden, golden["settings"][0])
    texts = golden["texts"][:64]
    batches = (
        tf.data.Dataset.from_tensor_slices(texts)
        .batch(16)
        .map(tokenizer.tokenize, num_parallel_calls=2)
    )
    found = [row for batch in batches for row in batch.to_list()]
    assert found == golden["settings"][0]["ids"][:64]


def test_two_vocabularies_in_saved_graphs_of_one_process(golden, tmp_path):
    texts = tf.constant(golden["texts"][:100])
    tokenizers = [
        made(golden, golden["settings"][0]),
        WordPieceTokenizer(VOCABULARY, lowercase=False),
    ]
    for place, tokenizer in enumerate(tokenizers):
        export(tokenizer, tmp_path / str(place))
    loaded = [
        tf.saved_model.load(str(tmp_path / str(place))) for place in range(2)
    ]
    for tokenizer, module in zip(tokenizers, loaded):
        answer = module.run(texts)
        ids = tokenizer.tokenize(texts).to_tensor(-1)
        assert answer["ids"].numpy().tolist() == ids.numpy().tolist()
        pieces = tokenizer.pieces(texts).to_tensor()
        assert answer["pieces"].numpy().tolist() == pieces.numpy().tolist()
        text = tokenizer.detokenize(tokenizer.tokenize(texts))
        assert answer["text"].numpy().tolist() == text.numpy().tolist()


def export(tokenizer, path):
    module = tf.Module()
    module.tokenizer = tokenizer

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def run(text):
        ids = tokenizer.tokenize(text)
        return {
            "ids": ids.to_tensor(-1),
            "pieces": tokenizer.pieces(text).to_tensor(),
            "text": tokenizer.detokenize(ids),
        }

    module.run = run
    tf.saved_model.save(module, str(path))

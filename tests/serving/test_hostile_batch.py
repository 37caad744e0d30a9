"""Whatever a row holds, it gets an answer, and its neighbours keep theirs."""

import numpy as np
import pytest
import tensorflow as tf

import serving

_GOOD = [b"March 5, 2021", b"20 percent", b"Japan"]
_HOSTILE = {
    "empty": b"",
    "blanks": b"  \t \n ",
    "long": b"March 5 " * 1_250,
    "one long word": b"x" * 10_000,
    "emoji": "👩\u200d👩\u200d👧 🇫🇷".encode(),
    "right to left": "مرحبا \u202e بالعالم".encode(),
    "NUL": b"\0",
    "NUL inside": b"March\x005",
    "unknown script": "𒀀𒀁 ꯁꯤ".encode(),
    "invalid": b"\xff\xfe\xc3",
    "surrogate": b"\xed\xa0\x80",
    "control": b"\x1b[31m\x07",
    "special tokens": b"[END] [START] <pad>",
    "word start": "\u2581\u2581".encode(),
}


@pytest.fixture(scope="module")
def signature(tiny_saved_model):
    loaded = tf.saved_model.load(str(tiny_saved_model))
    signatures = loaded.signatures

    def explain(rows):
        answer = signatures["explain"](text=tf.constant(rows))
        return {name: tensor.numpy() for name, tensor in answer.items()}

    explain.loaded = loaded  # its variables must live as long
    return explain


@pytest.fixture(scope="module")
def alone(signature):
    return signature(_GOOD)


def _assert_row(one, row, other, other_row):
    """A row of an answer is that of another, but for the padding."""
    for name in ("translation", "truncated"):
        assert one[name][row] == other[name][other_row]
    assert one["score"][row] == pytest.approx(
        other["score"][other_row], rel=1e-4
    )
    lengths = []
    for name in ("target_tokens", "source_tokens"):
        left = [token for token in one[name][row] if token]
        right = [token for token in other[name][other_row] if token]
        assert left == right
        lengths.append(len(left))
    left, right = (
        answer["attention"][index, :, :, : lengths[0], : lengths[1]]
        for answer, index in ((one, row), (other, other_row))
    )
    np.testing.assert_allclose(left, right, atol=1e-5)


@pytest.mark.parametrize("name", _HOSTILE)
def test_one_hostile_row_changes_no_other(name, signature, alone):
    together = signature([_GOOD[0], _HOSTILE[name], *_GOOD[1:]])
    for row, other in enumerate((0, 2, 3)):
        _assert_row(alone, row, together, other)
    source = together["source_tokens"][1]
    assert b"[END]" in source.tolist()
    weights = together["attention"][1, 0, 0]
    written = together["target_tokens"][1] != b""
    assert written.any()
    np.testing.assert_allclose(weights[written].sum(axis=-1), 1, rtol=1e-5)
    assert np.isfinite(together["score"][1])
    together["translation"][1].decode("utf-8")


def test_all_hostile_rows_at_once(signature, alone):
    rows = [*_HOSTILE.values(), *_GOOD]
    together = signature(rows)
    for row in range(len(_GOOD)):
        _assert_row(alone, row, together, len(_HOSTILE) + row)
    for row, text in enumerate(_HOSTILE.values()):
        _assert_row(signature([text]), 0, together, row)


def test_only_what_is_cut_says_so(signature):
    answer = signature(list(_HOSTILE.values()))
    cut = [
        name for name, cut in zip(_HOSTILE, answer["truncated"].tolist()) if cut
    ]
    assert cut == ["long"]
    row = list(_HOSTILE).index("long")
    assert answer["source_tokens"].shape[1] == 64
    assert answer["source_tokens"][row, -1] == b"[END]"


def test_a_sentence_of_the_limit_is_not_cut(signature):
    answer = signature([b"5" * 63, b"5" * 64])
    assert answer["truncated"].tolist() == [False, True]


def test_what_is_behind_65536_bytes_is_cut(signature):
    answer = signature([b" " * 65_535 + b"5", b" " * 65_535 + b"55"])
    assert answer["truncated"].tolist() == [False, True]
    assert answer["translation"][0] == answer["translation"][1]


def test_no_text_is_end_alone(signature):
    answer = signature([b"", b" ", b"\0"])
    assert answer["source_tokens"].tolist() == [[b"[END]"]] * 3
    assert len(set(answer["translation"].tolist())) == 1


def test_typed_end_is_text(signature):
    answer = signature([b"[END] a"])
    tokens = [token.decode() for token in answer["source_tokens"][0]]
    assert tokens == ["▁[", "END", "]", "▁a", "[END]"]


def test_python_strings_give_the_same(signature, alone):
    translator = serving.Translator(signature.loaded.signatures, None)
    texts = [text.decode() for text in alone["translation"]]
    assert translator.translate([text.decode() for text in _GOOD]) == texts

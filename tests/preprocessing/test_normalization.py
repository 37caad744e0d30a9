import os
import subprocess
import sys

import pytest
import tensorflow as tf

from preprocessing.normalization import normalize_text


def _normalized(text, lowercase=False):
    (result,) = normalize_text(tf.constant([text]), lowercase).numpy()
    return result.decode()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("   ", ""),
        ("  a  b ", "a b"),
        ("a\tb\r\nc\fd\ve", "a b c d e"),
        ("a\0b", "a b"),
        ("\0", ""),
        ("a\x1b[31mb", "a [31mb"),  # ESC is a control character
        ("a\x85b", "a b"),
        ("3\u202f000\xa0\u20ac", "3 000 €"),
        ("a\u2028b\u2029c\u3000d", "a b c d"),
        ("e\u0301", "é"),
        ("ﬁ ² № ｱ Ａ", "fi 2 No ア A"),
        ("½", "1\u20442"),
        ("a\u2581b \u2581", "a_b _"),
        ("👩\u200d👩", "👩\u200d👩"),
        ("مرحبا", "مرحبا"),
    ],
)
def test_text(text, expected):
    assert _normalized(text) == expected


@pytest.mark.parametrize(
    ("bytes_", "expected"),
    [
        (b"a\xffb", "a\ufffdb"),
        (b"\xc3", "\ufffd"),  # the first half of a letter
        (b"\xed\xa0\x80x", None),  # a surrogate; how many signs is open
        (b"\xf8\x88\x80\x80\x80", None),
    ],
)
def test_broken_utf8_becomes_the_replacement_character(bytes_, expected):
    (result,) = normalize_text(tf.constant([bytes_])).numpy()
    text = result.decode("utf-8")  # valid in any case
    assert "\ufffd" in text
    assert expected is None or text == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ÄÖÜ Straße", "äöü straße"),
        ("\u1e9e", "ß"),
        ("ÉCOLE", "école"),
        ("I", "i"),  # not the Turkish one without a dot
        ("\u0130", "i\u0307"),
        ("ΑΒΓ ПРИВЕТ", "αβγ привет"),
        ("ＡＢＣ", "abc"),
    ],
)
def test_lowercase(text, expected):
    assert _normalized(text, lowercase=True) == expected
    assert _normalized(text) != expected


def test_any_shape_is_kept():
    result = normalize_text(tf.constant([["A ", "b"], ["", " c"]]), True)
    assert result.numpy().tolist() == [[b"a", b"b"], [b"", b"c"]]
    assert normalize_text(tf.constant(" x ")).numpy() == b"x"


def test_normalizing_again_changes_nothing():
    texts = ["\xa8a\0\u0301", "A\u2581 ﬃ½\u0130 ", "  \u3000e\u0301\u0301"]
    once = normalize_text(tf.constant(texts))
    twice = normalize_text(once)
    assert once.numpy().tolist() == twice.numpy().tolist()


def test_the_language_of_the_machine_has_no_effect():
    # It is read once, when the process first needs it.
    program = (
        "import tensorflow as tf\n"
        "from preprocessing.normalization import lower_case\n"
        "text = tf.constant(['TITLE İ I\u0307 J\u0301 Ì Í ĨĮ ΟΔΟΣ'])\n"
        "print(ascii(lower_case(text).numpy()[0].decode()))"
    )
    environment = {**os.environ, "LC_ALL": "tr_TR.UTF-8"}
    printed = subprocess.run(
        [sys.executable, "-c", program],
        env={**environment, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    expected = "title i\u0307 i\u0307 j\u0301 ì í ĩį οδος"
    assert printed.strip() == ascii(expected)

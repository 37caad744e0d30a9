import unicodedata

import numpy as np
import pytest

from serving import Translation
from serving.terminal import printable
from serving.terminal import show


def _answer(**options):
    return Translation(
        **{
            "text": "le chat",
            "score": -1.234,
            "source_tokens": ("▁the", "▁cat", "[END]"),
            "tokens": ("▁le", "▁chat", "[END]"),
            "attention": np.eye(3, dtype="float32")[None, None],
            "truncated": False,
            **options,
        }
    )


def test_a_map_by_hand():
    attention = np.array([[0.0, 0.25, 0.75], [1.0, 0.0, 0.0], [0.4, 0.6, 0.0]])
    lines = show("the cat", _answer(attention=attention[None, None]))
    assert lines.splitlines() == [
        "the cat",
        "-> le chat   (log-probability -1.23)",
        "        ▁the ▁cat [END] ",
        "  ▁le |      ░░   ▓▓    ",
        "▁chat | ██              ",
        "[END] | ▒▒   ▓▓         ",
    ]


def test_heads_are_averaged_and_the_last_layer_shown():
    attention = np.zeros((2, 2, 3, 3), "float32")
    attention[0, :, :, 0] = 1
    attention[1, 0, :, 1] = 1
    attention[1, 1, :, 2] = 1
    lines = show("x", _answer(attention=attention)).splitlines()
    assert lines[-1] == "[END] |      ▒▒   ▒▒    "


def test_without_attention_there_is_no_map():
    lines = show("x", _answer(attention=None)).splitlines()
    assert len(lines) == 2


def test_a_cut_sentence_is_said_to_be():
    assert "cut off" in show("x", _answer(truncated=True))
    assert "cut off" not in show("x", _answer())


@pytest.mark.parametrize(
    "text", ["\x1b[31mred", "a\0b", "a\nb", "\x9b31m", "\u202eabc", "a\rb\b"]
)
def test_nothing_can_steer_the_terminal(text):
    answer = _answer(
        text=text, source_tokens=(text, "b", "c"), tokens=("a", text, "c")
    )
    shown = show(text, answer)
    bad = [
        character
        for character in shown.replace("\n", "")
        if unicodedata.category(character)[0] == "C"
    ]
    assert bad == []
    assert len(shown.splitlines()) == 6
    assert "\ufffd" in shown


def test_columns_of_wide_characters_line_up():
    answer = _answer(
        source_tokens=("▁年", "月", "[END]"), tokens=("▁é", "e\u0301日", "x")
    )
    header, *rows = show("年月", answer).splitlines()[2:]
    # ▁年 takes 3 columns, 月 two: the cells begin at 0, 4 and 7.
    assert header == "      ▁年 月 [END] "
    assert [row.partition(" | ")[2] for row in rows] == [
        "██           ",
        "    ██ " + " " * 6,
        "       ██    ",
    ]
    assert [row.partition(" | ")[0] for row in rows] == [
        " ▁é",
        "e\u0301日",
        "  x",
    ]


def test_long_text_is_cut():
    assert printable("x" * 200) == "x" * 200
    assert printable("x" * 201) == "x" * 199 + "…"
    assert len(show("y" * 10_000, _answer(text="z" * 10_000))) < 1_000

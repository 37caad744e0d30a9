import pathlib
import unicodedata

import numpy as np
import pytest

from serving import ImageClassification
from serving import TextClassification
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


# Control, format, surrogate; separators of lines and paragraphs.
BAD = ("Cc", "Cf", "Cs", "Zl", "Zp")
STEERING = [
    "\x1b[31mred",
    "a\0b",
    "a\nb",
    "\x9b31m",
    "\u202eabc",
    "\u200fabc",
    "a\u2067b\u2069",
    "a\u2028b",
    "a\u2029b",
    "a\udcffb",
    "a\rb\b",
]


@pytest.mark.parametrize("text", STEERING)
def test_nothing_can_steer_the_terminal(text):
    answer = _answer(
        text=text, source_tokens=(text, "b", "c"), tokens=("a", text, "c")
    )
    shown = show(text, answer)
    bad = [
        character
        for character in shown.replace("\n", "")
        if unicodedata.category(character) in BAD
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


def _text_answer(**options):
    return TextClassification(
        **{
            "label": "good",
            "probability": 0.75,
            "probabilities": {"bad": 0.25, "good": 0.75},
            "tokens": ("[START]", "▁a", "▁film", "[END]"),
            "attention": np.full((1, 1, 4, 4), 0.25, "float32"),
            "pooling_attention": np.array([0.0, 0.1, 0.8, 0.3]),
            "truncated": False,
            **options,
        }
    )


def test_a_classified_text_by_hand():
    # Of the largest weight: nothing, an eighth, all, three eighths.
    lines = show("a film", _text_answer()).splitlines()
    assert lines == [
        "a film",
        "-> good",
        "good  75.0% " + "█" * 22,
        "bad   25.0% " + "█" * 8,
        "[START] ▁a ▁film [END] ",
        "           █████ ░░░░░ ",
    ]


def test_long_texts_are_wrapped():
    tokens = tuple(f"▁word{number}" for number in range(40))
    answer = _text_answer(tokens=tokens, pooling_attention=np.eye(40)[17])
    lines = show("x", answer).splitlines()[4:]
    assert max(map(len, lines)) <= 81
    assert " ".join(" ".join(lines[::2]).split()) == " ".join(tokens)
    for names, marks in zip(lines[::2], lines[1::2]):
        assert len(names) == len(marks)
        if "▁word17 " in names:
            start = names.index("▁word17 ")
            assert marks.strip() == "█" * 7
            assert marks.index("█") == start
        else:
            assert not marks.strip()


def test_the_most_probable_classes():
    probabilities = {f"class {n}": n / 45 for n in range(10)}
    lines = show("x", _text_answer(probabilities=probabilities)).splitlines()
    names = [line[:7] for line in lines if line.startswith("class")]
    assert names == [f"class {n}" for n in (9, 8, 7, 6, 5)]


def _image_answer(rollout, **options):
    return ImageClassification(
        **{
            "label": "cat",
            "probability": 0.9,
            "probabilities": {"cat": 0.9, "dog": 0.1},
            "valid": True,
            "image": np.zeros((8, 8, 3), "uint8"),
            "attention": np.zeros((1, 1, 4, 4)),
            "rollout": np.asarray(rollout, "float32"),
            **options,
        }
    )


def test_a_classified_picture_by_hand():
    # From the smallest weight to the largest: 0, a quarter, a half, all.
    answer = _image_answer([[0.1, 0.2, 0.3], [0.5, 0.1, 0.1]])
    assert show("a/cat.png", answer).splitlines() == [
        "a/cat.png",
        "-> cat",
        "cat  90.0% " + "█" * 27,
        "dog  10.0% " + "█" * 3,
        "  ░░▒▒",
        "██    ",
    ]


def test_equal_patches_are_blank():
    lines = show("x", _image_answer(np.full((2, 2), 0.25))).splitlines()
    assert lines[-2:] == ["    ", "    "]


def test_many_patches_become_fewer():
    rollout = np.zeros((4, 73))
    rollout[:, 72] = 1
    rollout[3, :3] = 1
    # Blocks of 3 by 3, the last of one row and one column.
    lines = show("x", _image_answer(rollout)).splitlines()[-2:]
    assert lines == [" " * 48 + "██", "██" + " " * 46 + "██"]


def test_a_picture_that_cannot_be_read_is_said_to_be():
    answer = _image_answer(np.zeros((2, 2)), valid=False, label="")
    assert show("x.png", answer).splitlines() == [
        "x.png",
        "-> can't be read as PNG or JPEG",
    ]


@pytest.mark.parametrize("name", STEERING)
def test_names_of_classes_and_files_cannot_steer_the_terminal(name):
    image = _image_answer(
        [[0.0, 1.0]], label=name, probabilities={name: 0.9, "b": 0.1}
    )
    unread = _image_answer([[0.0, 1.0]], label=name, valid=False)
    text = _text_answer(
        label=name, probabilities={name: 1.0}, tokens=(name, "b", "c", "d")
    )
    for source, answer, num_lines in (
        (f"{name}.png", image, 5),
        (pathlib.Path(f"{name}.png".replace("\0", "\1")), unread, 2),
        (name, text, 5),
    ):
        lines = show(source, answer).splitlines()
        assert len(lines) == num_lines
        found = {unicodedata.category(x) for line in lines for x in line}
        assert not found & set(BAD)

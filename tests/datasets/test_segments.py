import pytest

from datasets import _segments


def test_outer_blanks_are_not_part_of_a_field():
    assert _segments.segment("\xa0km ", "unit") == [
        ("\xa0", None),
        ("km", "unit"),
        (" ", None),
    ]
    assert _segments.segment("  ", "unit") == [("  ", None)]
    assert _segments.segment("", "unit") == []


def test_only_letters_are_a_conjunction():
    assert _segments.word_segments(", and ", "conjunction") == [
        (", ", None),
        ("and", "conjunction"),
        (" ", None),
    ]
    assert _segments.word_segments(", ", "conjunction") == [(", ", None)]


def test_around():
    assert _segments.around("in 3 days", "3", "number", "unit") == [
        ("in", "unit"),
        (" ", None),
        ("3", "number"),
        (" ", None),
        ("days", "unit"),
    ]
    assert _segments.around("an hour", "1", "number", "unit") == [
        ("an hour", "unit")
    ]


def test_align_by_hand():
    source = [("May", "month"), (" ", None), ("5", "day"), (" PM", "period")]
    target = [("5", "day"), (". ", None), ("Mai", "month")]
    assert _segments.align(source, target) == [(0, 3, 3, 6), (4, 5, 0, 1)]


def test_a_field_in_two_pieces_gives_both():
    source = [("59", "number"), ("°F", "unit")]
    target = [("hua", "unit"), ("59", "number"), ("do", "unit")]
    assert _segments.align(source, target) == [
        (0, 2, 3, 5),
        (2, 4, 0, 3),
        (2, 4, 5, 7),
    ]


def test_fields_lose_their_prefixes():
    renamed = _segments.rename([("1", "number"), (", ", None)], "0")
    assert renamed == [("1", "0.number"), (", ", None)]
    assert _segments.fields(renamed) == {"number"}
    assert _segments.join(renamed) == "1, "


@pytest.mark.parametrize("text", ["3\u202f000\xa0km²", "￥76", "Île"])
def test_stable(text):
    assert _segments.is_stable(text)


@pytest.mark.parametrize(
    "text",
    # The last has as many characters before as after: its half becomes
    # three, and four become two.
    ["½", "…", "I\u0302le", "℃", "a  b", " a", "a\xa0", "½I\u0302I\u0302"],
)
def test_not_stable(text):
    assert not _segments.is_stable(text)

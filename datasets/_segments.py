"""Texts made of segments, so that the alignment of two texts is known.

A segment is `(text, field)`. `field` names what the text stands for (`"day"`,
`"number"`, `"unit"`), and is None for what stands between fields. Two texts
in two languages are aligned where they have segments of the same field.
"""

import functools
import re
import unicodedata

_LETTERS = re.compile(r"[^\W\d_](?:.*[^\W\d_])?")


def segment(text, field=None):
    """Returns `text` as segments, its outer blanks apart from the field."""
    core = text.strip()
    if field is None or not core:
        return [(text, None)] if text else []
    start = text.index(core)
    end = start + len(core)
    pieces = [(text[:start], None), (core, field), (text[end:], None)]
    return [piece for piece in pieces if piece[0]]


def word_segments(text, field):
    """Returns `text` as segments of which only the letters are the field.

    `", and "` gives `", "`, the field `"and"`, and `" "`.
    """
    match = _LETTERS.search(text)
    if not match:
        return segment(text)
    start, end = match.span()
    pieces = [(text[:start], None), (text[start:end], field)]
    return [piece for piece in [*pieces, (text[end:], None)] if piece[0]]


def around(text, inner, inner_field, outer_field):
    """Splits `text` into `inner` and what stands on its two sides.

    A text without `inner` ("an hour" for 1 hour) is wholly `outer_field`.
    """
    before, found, after = text.partition(inner)
    if not found:
        return segment(text, outer_field)
    return [
        *segment(before, outer_field),
        *segment(inner, inner_field),
        *segment(after, outer_field),
    ]


def rename(segments, prefix):
    """Returns `segments` with `prefix` before the name of each field."""
    return [(text, field and f"{prefix}.{field}") for text, field in segments]


def join(segments):
    """Returns the text of `segments`."""
    return "".join([text for text, _ in segments])


def fields(segments):
    """Returns the set of the fields of `segments`, without prefixes."""
    return {field.rpartition(".")[2] for _, field in segments if field}


def align(source, target):
    """Returns the spans that stand for the same field in two texts.

    Args:
        source: Segments of the source text.
        target: Segments of the target text.

    Returns:
        List of `(source_start, source_end, target_start, target_end)`, in
        characters, the ends exclusive, in the order of the source. A field in
        two pieces ("ne ... pas") gives each of its combinations. A field that
        the other side lacks gives nothing.
    """
    target_spans = {}
    for field, start, end in _spans(target):
        target_spans.setdefault(field, []).append((start, end))
    return [
        (start, end, *target_span)
        for field, start, end in _spans(source)
        for target_span in target_spans.get(field, ())
    ]


def _spans(segments):
    start = 0
    for text, field in segments:
        end = start + len(text)
        if field:
            yield field, start, end
        start = end


def is_stable(text):
    """Whether spans of `text` hold after NFKC and folding of blanks.

    They hold if NFKC replaces each character by one character (the sign of a
    half becomes three, so it does not qualify) and no blank is dropped.
    """
    normalized = unicodedata.normalize("NFKC", text)
    return (
        len(normalized) == len(text)
        and " ".join(normalized.split()) == normalized
        and all(map(_stays_single, text))
    )


@functools.cache
def _stays_single(character):
    return len(unicodedata.normalize("NFKC", character)) == 1

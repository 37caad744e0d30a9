"""Names from Unicode CLDR, and lists of anything, as segments."""

import functools
import re

from babel import lists

from datasets import _segments

# Characters that no text of CLDR contains stand for the items of a list.
_FIRST_MARK = 0xE000


def territory(locale, code):
    """Returns the name of a country or territory: field `territory`.

    Raises:
        LookupError: The locale has no name for it.
    """
    return _segments.segment(locale.territories[code], "territory")


def language(locale, code):
    """Returns the name of a language: field `language`.

    Raises:
        LookupError: The locale has no name for it.
    """
    return _segments.segment(locale.languages[code], "language")


def list_of(locale, items, style):
    """Joins items as the language does ("A, B, and C").

    Args:
        locale: `babel.Locale`.
        items: List of segments, one for each item.
        style: `"standard"` (and), `"or"` or `"unit"` (measures).

    Returns:
        Segments. The fields of the items are named `0.`, `1.` and so on; a
        word between the items is the field `conjunction`.
    """
    segments = []
    for piece in _pieces(locale, len(items), style):
        index = ord(piece[0]) - _FIRST_MARK
        if 0 <= index < len(items):
            segments += _segments.rename(items[index], str(index))
        else:
            segments += _segments.word_segments(piece, "conjunction")
    return segments


@functools.cache
def _pieces(locale, count, style):
    marks = [chr(_FIRST_MARK + index) for index in range(count)]
    try:
        text = lists.format_list(marks, style=style, locale=locale)
    except KeyError:
        # Of a pattern that is inherited in part, Babel sees only that part.
        text = lists.format_list(marks, locale=locale)
    return tuple(re.findall(f"[{''.join(marks)}]|[^{''.join(marks)}]+", text))


def territory_codes(locale):
    """Returns the codes of countries and territories, sorted."""
    # XA, XB and ZZ are two pseudo-locales and "unknown".
    pseudo = {"XA", "XB", "ZZ"}
    return sorted(
        code
        for code in locale.territories
        if re.fullmatch("[A-Z]{2}", code) and code not in pseudo
    )


def language_codes(locale):
    """Returns the two-letter codes of languages, sorted."""
    return sorted(
        code for code in locale.languages if re.fullmatch("[a-z]{2}", code)
    )

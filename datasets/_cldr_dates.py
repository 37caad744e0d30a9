"""Dates and times as segments, from the patterns of Unicode CLDR.

Babel formats each field of a pattern; the fields joined are the very text
that Babel gives for the whole.
"""

import functools

from babel import dates

from datasets import _segments

_FIELDS = {
    "y": "year",
    "Q": "quarter",
    "q": "quarter",
    "M": "month",
    "L": "month",
    "d": "day",
    "E": "weekday",
    "c": "weekday",
    "a": "period",
    "b": "period",
    "B": "period",
    "h": "hour",
    "H": "hour",
    "K": "hour",
    "k": "hour",
    "m": "minute",
    "s": "second",
}
_STYLES = ("full", "long", "medium", "short")
_FROM_LARGEST = ("year", "month", "day")


def date(locale, value, style):
    """Formats a date.

    Args:
        locale: `babel.Locale`.
        value: `datetime.date`.
        style: `"full"`, `"long"`, `"medium"`, `"short"`, or a skeleton of
            CLDR such as `"yMMMM"` (year and month).

    Returns:
        Segments with the fields `year`, `quarter`, `month`, `day`, `weekday`,
        those that the pattern has.

    Raises:
        LookupError: The locale has no such skeleton.
    """
    return _format(value, locale, _tokens_of_date(locale, style))


def time(locale, value, style):
    """Formats a time of day, a `datetime.time`; otherwise like `date`.

    The fields are `hour`, `minute`, `second` and `period` (a.m. or p.m.).
    """
    return _format(value, locale, _tokens_of_time(locale, style))


def date_time(locale, day, moment, date_style, time_style):
    """Formats a date and a time, joined as the date's style joins them."""
    template = dates.get_datetime_format(date_style, locale)
    segments = []
    for piece in _template_pieces(str(template)):
        if piece == "{0}":
            segments += time(locale, moment, time_style)
        elif piece == "{1}":
            segments += date(locale, day, date_style)
        else:
            segments += _segments.segment(piece)
    return segments


def interval(locale, start, end, skeleton="yMMMd"):
    """Formats the interval from one date to another, as short as CLDR does.

    A field in which the two dates differ is named `start.` and `end.`; the
    others keep their names, as they may be written once.

    Raises:
        LookupError: The locale has no pattern for this interval.
    """
    largest = next(
        name
        for name in _FROM_LARGEST
        if getattr(start, name) != getattr(end, name)
    )
    differing = _FROM_LARGEST[_FROM_LARGEST.index(largest) :]
    letter = {"year": "y", "month": "M", "day": "d"}[largest]
    patterns = locale.interval_formats[skeleton][letter]
    segments = []
    for prefix, value, pattern in zip(
        ("start", "end"), (start, end), patterns, strict=True
    ):
        for text, field in _format(value, locale, _tokens(pattern)):
            if field in differing:
                field = f"{prefix}.{field}"
            segments.append((text, field))
    return segments


def month_name(locale, month):
    """Returns the stand-alone name of a month, 1 to 12, as segments."""
    names = dates.get_month_names("wide", "stand-alone", locale)
    return _segments.segment(names[month], "month")


def weekday_name(locale, weekday):
    """Returns the stand-alone name of a weekday, 0 for Monday, as segments."""
    names = dates.get_day_names("wide", "stand-alone", locale)
    return _segments.segment(names[weekday], "weekday")


def _format(value, locale, tokens):
    formatter = dates.DateTimeFormat(value, locale)
    return [
        (formatter[text] if field else text, field) for text, field in tokens
    ]


@functools.cache
def _tokens_of_date(locale, style):
    if style in _STYLES:
        return _tokens(locale.date_formats[style].pattern)
    return _tokens(locale.datetime_skeletons[style].pattern)


@functools.cache
def _tokens_of_time(locale, style):
    if style in _STYLES:
        return _tokens(locale.time_formats[style].pattern)
    return _tokens(locale.datetime_skeletons[style].pattern)


@functools.cache
def _tokens(pattern):
    # `(text, None)` for literals, `("MMMM", "month")` for fields. A field
    # that has no name here (an era, a time zone) is a LookupError: the shape
    # that asks for it is then not offered for this language.
    tokens = []
    for kind, token in dates.tokenize_pattern(pattern):
        if kind == "field":
            letter, length = token
            tokens.append((letter * length, _FIELDS[letter]))
        else:
            tokens.append((token, None))
    return tuple(tokens)


@functools.cache
def _template_pieces(template):
    pieces = []
    # Babel, too, drops the quotes of these templates.
    rest = template.replace("'", "")
    while rest:
        position = min(
            (rest.find(mark) for mark in ("{0}", "{1}") if mark in rest),
            default=len(rest),
        )
        if position:
            pieces.append(rest[:position])
        pieces.append(rest[position : position + 3])
        rest = rest[position + 3 :]
    return tuple(piece for piece in pieces if piece)

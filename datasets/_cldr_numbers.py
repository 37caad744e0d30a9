"""Numbers and what they count, as segments.

Babel formats the whole and the number alone; the number is then found in the
whole.
"""

import datetime
import functools
import re

from babel import dates
from babel import numbers

from datasets import _segments

_SECONDS = {
    "year": 365 * 24 * 3600,
    "month": 30 * 24 * 3600,
    "week": 7 * 24 * 3600,
    "day": 24 * 3600,
    "hour": 3600,
    "minute": 60,
    "second": 1,
}


def decimal(locale, value):
    """Formats a `Decimal` of up to three decimal places: field `number`."""
    return [(numbers.format_decimal(value, locale=locale), "number")]


def percent(locale, value):
    """Formats `value` (12.5 for 12.5 %): fields `number` and `percent`."""
    text = numbers.format_percent(
        value.scaleb(-2), locale=locale, decimal_quantization=False
    )
    number = numbers.format_decimal(value, locale=locale)
    return _segments.around(text, number, "number", "percent")


def money(locale, currency, amount):
    """Formats money with the symbol: fields `number` and `currency`."""
    text = numbers.format_currency(amount, currency, locale=locale)
    number = _amount(locale, currency, amount)
    return _segments.around(text, number, "number", "currency")


def money_in_words(locale, currency, amount):
    """Formats money with the name ("3 euros"): `number` and `currency`."""
    text = numbers.format_currency(
        amount,
        currency,
        locale=locale,
        format_type="name",
        currency_digits=False,
    )
    number = numbers.format_decimal(amount, locale=locale)
    return _segments.around(text, number, "number", "currency")


def quantity(locale, unit, value):
    """Formats a number of units: fields `number` and `unit`.

    Args:
        locale: `babel.Locale`.
        unit: Pair of CLDR's name of the unit, such as `"length-meter"`, and
            `"long"` or `"short"`.
        value: `Decimal`.

    Returns:
        Segments, the same text as `babel.units.format_unit` where that finds
        a pattern. Locale data leave out what is inherited: the long form
        from the short one, any grammatical number from `other`. Babel does
        not follow this for units, so it is followed here.

    Raises:
        LookupError: The locale does not have this unit.
    """
    name, length = unit
    number = numbers.format_decimal(value, locale=locale)
    plural_form = locale.plural_form(value)
    patterns = locale._data["unit_patterns"].get(name, {})
    for inherited in (length, "short"):
        forms = patterns.get(inherited, {})
        pattern = forms.get(plural_form) or forms.get("other")
        if pattern:
            text = pattern.replace("{0}", number)
            return _segments.around(text, number, "number", "unit")
    raise LookupError(f"No such unit. Received: unit={unit!r}")


@functools.cache
def relative_time(locale, unit, direction, count):
    """Formats a time from now: `number`, `unit` and `direction`.

    Args:
        locale: `babel.Locale`.
        unit: `"year"`, `"month"`, `"week"`, `"day"`, `"hour"`, `"minute"` or
            `"second"`.
        direction: 1 for the future ("in 3 weeks"), -1 for the past.
        count: How many of the unit, a whole number from 1.

    Returns:
        Tuple of segments. The words for future and past are apart from the
        unit, whether they stand before it ("in 3 weeks") or behind it ("3
        weeks ago").
    """
    count = int(count)
    texts = {
        sign: dates.format_timedelta(
            datetime.timedelta(seconds=sign * count * _SECONDS[unit]),
            granularity=unit,
            # No larger unit may take over, however large the count.
            threshold=float("inf"),
            add_direction=True,
            locale=locale,
        )
        for sign in (1, -1)
    }
    before, number, after = texts[direction].partition(str(count))
    if not number:
        return tuple(_segments.segment(texts[direction], "unit"))
    other = texts[-direction].partition(str(count))[2]
    if re.search(r"\w", before):
        noun_end = len(after)
    else:
        noun_end = _noun_end(after, other)
    return (
        *_segments.segment(before, "direction"),
        (number, "number"),
        *_segments.segment(after[:noun_end], "unit"),
        *_segments.segment(after[noun_end:], "direction"),
    )


def _noun_end(after, other):
    # " weeks ago" beside " weeks": what they share is the unit.
    length = 0
    while after[length : length + 1] == other[length : length + 1] != "":
        length += 1
    words = re.match(r"\s*\S+(?=\s)", after)
    if not words or after[length - 1 : length].isspace():
        return length
    inside_word = re.match(r"\w", after[length:]) or re.match(
        r"\w", other[length:]
    )
    # The two may share a stem only (Finnish: "viikon", "viikkoa"): then the
    # unit is the first word.
    return words.end() if inside_word else length


@functools.cache
def _amount_pattern(locale):
    pattern = locale.currency_formats["standard"]
    return numbers.parse_pattern(pattern.number_pattern)


def _amount(locale, currency, amount):
    # The number of a currency has that currency's decimal places.
    return _amount_pattern(locale).apply(amount, locale, currency=currency)

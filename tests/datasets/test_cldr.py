"""The segments, joined, are what Babel itself gives, in every language."""

import datetime
import decimal
import itertools
import random

import babel
import pytest
from babel import dates
from babel import lists
from babel import numbers
from babel import units

from datasets import _cldr_dates
from datasets import _cldr_names
from datasets import _cldr_numbers
from datasets import _phrase_values
from datasets._segments import fields
from datasets._segments import join

LANGUAGES = ["en", "fr", "de", "es", "it", "nl", "pt", "pl", "ru", "ja"]
STYLES = ["full", "long", "medium", "short"]
VALUES = tuple(map(decimal.Decimal, ("1", "2", "5", "21", "1.5", "1234567")))


@pytest.fixture(params=LANGUAGES)
def locale(request):
    return babel.Locale.parse(request.param)


@pytest.fixture
def days():
    generator = random.Random(0)
    first = datetime.date(1900, 1, 1)
    return [
        first + datetime.timedelta(days=generator.randrange(73_000))
        for _ in range(20)
    ]


@pytest.fixture
def moments():
    generator = random.Random(1)
    return [
        datetime.time(hour, generator.randrange(60), generator.randrange(60))
        for hour in range(24)
    ]


def test_dates(locale, days):
    for day in days:
        for style in STYLES:
            segments = _cldr_dates.date(locale, day, style)
            assert join(segments) == dates.format_date(day, style, locale)
            assert fields(segments) >= {"year", "month", "day"}
        for skeleton in ("yMMMEd", "MMMMd", "yMMMM", "yMMM", "yQQQQ"):
            segments = _cldr_dates.date(locale, day, skeleton)
            assert join(segments) == dates.format_skeleton(
                skeleton, day, locale=locale
            )


def test_times(locale, moments):
    for moment in moments:
        for style in ("medium", "short"):
            segments = _cldr_dates.time(locale, moment, style)
            assert join(segments) == dates.format_time(
                moment, style, locale=locale
            )
            assert fields(segments) >= {"hour", "minute"}


def test_dates_with_times(locale, days, moments):
    for day, moment in zip(days, moments, strict=False):
        both = datetime.datetime.combine(day, moment)
        for style in ("medium", "short"):
            segments = _cldr_dates.date_time(locale, day, moment, style, style)
            assert join(segments) == dates.format_datetime(
                both, style, locale=locale
            )


def test_intervals(locale, days):
    for day in days:
        for distance in (1, 5, 40, 5000):
            end = day + datetime.timedelta(days=distance)
            segments = _cldr_dates.interval(locale, day, end)
            assert join(segments) == dates.format_interval(
                day, end, "yMMMd", locale=locale
            )


def test_numbers(locale):
    for value in VALUES:
        ((text, field),) = _cldr_numbers.decimal(locale, value)
        assert text == numbers.format_decimal(value, locale=locale)
        assert field == "number"
        segments = _cldr_numbers.percent(locale, value)
        assert join(segments) == numbers.format_percent(
            value / 100, locale=locale, decimal_quantization=False
        )
        assert fields(segments) == {"number", "percent"}


def test_money(locale):
    for currency, value in itertools.product(_phrase_values.CURRENCIES, VALUES):
        segments = _cldr_numbers.money(locale, currency, value)
        assert join(segments) == numbers.format_currency(
            value, currency, locale=locale
        )
        assert fields(segments) == {"number", "currency"}
        segments = _cldr_numbers.money_in_words(locale, currency, value)
        assert join(segments) == numbers.format_currency(
            value,
            currency,
            locale=locale,
            format_type="name",
            currency_digits=False,
        )
        assert fields(segments) == {"number", "currency"}


def test_quantities(locale):
    compared = 0
    for name in _phrase_values.UNITS:
        for length in ("long", "short"):
            forms = locale._data["unit_patterns"][name].get(length, {})
            for value in VALUES:
                segments = _cldr_numbers.quantity(locale, (name, length), value)
                assert fields(segments) == {"number", "unit"}
                if locale.plural_form(value) in forms:
                    assert join(segments) == units.format_unit(
                        value, name, length, locale=locale
                    )
                    compared += 1
    assert compared > 350


def test_inherited_units():
    # Babel leaves these out of its data, as they equal what is inherited.
    dutch = babel.Locale.parse("nl")
    spanish = babel.Locale.parse("es")
    one = decimal.Decimal(1)
    hours = _cldr_numbers.quantity(dutch, ("duration-hour", "long"), one)
    assert join(hours) == "1 uur"
    minute = _cldr_numbers.quantity(spanish, ("duration-minute", "short"), one)
    assert join(minute) == "1 min"
    with pytest.raises(LookupError, match="unit="):
        _cldr_numbers.quantity(dutch, ("length-horse", "long"), one)


def test_relative_times(locale):
    for unit, seconds in _cldr_numbers._SECONDS.items():
        for direction in (1, -1):
            for count in (1, 2, 5, 21, 99):
                segments = _cldr_numbers.relative_time(
                    locale, unit, direction, count
                )
                assert join(segments) == dates.format_timedelta(
                    direction * count * seconds,
                    granularity=unit,
                    threshold=1e9,
                    add_direction=True,
                    locale=locale,
                )
                assert fields(segments) == {"number", "unit", "direction"}


@pytest.mark.parametrize(
    "language, direction, count, words",
    [
        ("en", 1, 3, {"direction": "in", "number": "3", "unit": "weeks"}),
        ("en", -1, 1, {"direction": "ago", "number": "1", "unit": "week"}),
        ("fr", -1, 2, {"direction": "il y a", "unit": "semaines"}),
        ("pl", -1, 5, {"direction": "temu", "unit": "tygodni"}),
        ("ja", 1, 3, {"direction": "後", "unit": "週間"}),
        ("fi", 1, 3, {"direction": "päästä", "unit": "viikon"}),
        ("fi", -1, 3, {"direction": "sitten", "unit": "viikkoa"}),
    ],
)
def test_words_of_relative_times(language, direction, count, words):
    segments = _cldr_numbers.relative_time(
        babel.Locale.parse(language), "week", direction, count
    )
    named = {field: text for text, field in segments if field}
    assert named | words == named


@pytest.mark.parametrize("style", ["standard", "or"])
@pytest.mark.parametrize("count", [2, 3, 4])
def test_lists(locale, style, count):
    items = [f"<{index}>" for index in range(count)]
    segments = _cldr_names.list_of(
        locale, [[(item, "item")] for item in items], style
    )
    assert join(segments) == lists.format_list(items, style, locale)
    assert [text for text, field in segments if field and "item" in field] == (
        items
    )
    conjunctions = [text for text, field in segments if field == "conjunction"]
    if locale.language == "fr":
        assert conjunctions == [{"standard": "et", "or": "ou"}[style]]


def test_names(locale):
    codes = _cldr_names.territory_codes(locale)
    assert len(codes) > 250
    assert not {"XA", "XB", "ZZ", "001"} & set(codes)
    for code in codes:
        segments = _cldr_names.territory(locale, code)
        assert join(segments) == locale.territories[code]
    for code in _cldr_names.language_codes(locale):
        segments = _cldr_names.language(locale, code)
        assert join(segments) == locale.languages[code]
        assert len(code) == 2


def test_stand_alone_names():
    # The nominative, not the genitive of dates.
    polish = babel.Locale.parse("pl")
    assert _cldr_dates.month_name(polish, 3) == [("marzec", "month")]
    assert _cldr_dates.weekday_name(polish, 0) == [("poniedziałek", "weekday")]

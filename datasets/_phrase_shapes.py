"""The shapes of phrases: what each is about, and how a language writes it.

A shape draws its content from a `Sampler` and renders that content in any
locale. To add a shape is to add a row to `SHAPES`.
"""

import dataclasses
from collections.abc import Callable

from datasets import _cldr_dates as dates
from datasets import _cldr_names as names
from datasets import _cldr_numbers as numbers
from datasets._phrase_values import Sampler


@dataclasses.dataclass(frozen=True)
class Shape:
    """One kind of phrase.

    Attributes:
        name: As the examples carry it.
        family: Shapes of one family write the same content. Where two of
            them give the same source ("May 5, 2021" is both the long and the
            medium form), the one that comes first in `SHAPES` has it.
        weight: Relative frequency.
        draw: From a `Sampler` to a content, a tuple of `(kind, value)`.
        render: From a locale and the values of a content to segments.
    """

    name: str
    family: str
    weight: float
    draw: Callable
    render: Callable


def from_class(kind):
    """Returns a draw from a closed class."""
    return lambda sampler: sampler.from_class(kind)


def join(*draws):
    """Returns a draw of several contents, one after the other."""
    return lambda sampler: sum((draw(sampler) for draw in draws), ())


def list_of(render, style="standard", arity=1):
    """Returns a renderer of a list whose items take `arity` values each."""

    def render_list(locale, *values):
        groups = zip(*[iter(values)] * arity, strict=True)
        items = [render(locale, *group) for group in groups]
        return names.list_of(locale, items, style)

    return render_list


def date(style):
    """Returns a renderer of dates."""
    return lambda locale, value: dates.date(locale, value, style)


def time(style):
    """Returns a renderer of times of day."""
    return lambda locale, value: dates.time(locale, value, style)


def date_time(date_style, time_style):
    """Returns a renderer of a date and a time of day."""
    return lambda locale, day, moment: dates.date_time(
        locale, day, moment, date_style, time_style
    )


def _duration(locale, hours, minutes):
    items = [
        numbers.quantity(locale, ("duration-hour", "long"), hours),
        numbers.quantity(locale, ("duration-minute", "long"), minutes),
    ]
    return names.list_of(locale, items, "unit")


def _family(family, draw, **shapes):
    return [
        Shape(name, family, weight, draw, render)
        for name, (weight, render) in shapes.items()
    ]


_territory = from_class("territory")
_language = from_class("language")
_weekday = from_class("weekday")
_month = from_class("month")
_measure = join(from_class("unit"), Sampler.measure)
_moment = join(Sampler.date, Sampler.minute)

SHAPES = (
    # Dates.
    *_family(
        "date",
        Sampler.date,
        full_date=(5, date("full")),
        long_date=(6, date("long")),
        weekday_date=(3, date("yMMMEd")),
        medium_date=(4, date("medium")),
    ),
    *_family("date", Sampler.near_date, short_date=(4, date("short"))),
    *_family("day", Sampler.day_of_year, day_of_year=(0.3, date("MMMMd"))),
    *_family(
        "month",
        Sampler.month_of_year,
        month_of_year=(1.5, date("yMMMM")),
        short_month_of_year=(1, date("yMMM")),
    ),
    *_family("quarter", Sampler.quarter, quarter=(0.5, date("yQQQQ"))),
    *_family(
        "interval",
        Sampler.dates_in_order,
        date_interval=(4, dates.interval),
    ),
    *_family(
        "dates",
        join(Sampler.date, Sampler.date),
        dates_or=(2, list_of(date("long"), "or")),
    ),
    # Times.
    *_family(
        "time",
        Sampler.minute,
        time=(1, time("short")),
        time_24_hours=(0.5, time("Hm")),
    ),
    *_family("second", Sampler.second, time_of_second=(3, time("medium"))),
    *_family(
        "moment",
        _moment,
        full_date_time=(2, date_time("full", "short")),
        long_date_time=(3, date_time("long", "short")),
    ),
    *_family(
        "moment",
        join(Sampler.near_date, Sampler.minute),
        short_date_time=(3, date_time("short", "short")),
    ),
    *_family(
        "second_of_date",
        join(Sampler.date, Sampler.second),
        medium_date_time=(3, date_time("medium", "medium")),
    ),
    *_family("from_now", Sampler.from_now, from_now=(2, numbers.relative_time)),
    *_family("duration", Sampler.duration, duration=(2, _duration)),
    # Numbers and what they count.
    *_family("number", Sampler.number, number=(6, numbers.decimal)),
    *_family("percent", Sampler.part, percent=(3, numbers.percent)),
    *_family("money", Sampler.money, money=(7, numbers.money)),
    *_family(
        "amounts",
        join(Sampler.money, Sampler.money),
        amounts=(2, list_of(numbers.money, arity=2)),
    ),
    *_family(
        "named_money",
        Sampler.named_money,
        named_money=(5, numbers.money_in_words),
    ),
    *_family("measure", _measure, measure=(8, numbers.quantity)),
    *_family(
        "measures",
        join(_measure, _measure),
        measures=(2, list_of(numbers.quantity, arity=2)),
        measures_or=(2, list_of(numbers.quantity, "or", arity=2)),
    ),
    # Names.
    *_family("territory", _territory, territory=(0.4, names.territory)),
    *_family(
        "two_territories",
        join(_territory, _territory),
        two_territories=(3, list_of(names.territory)),
        two_territories_or=(2, list_of(names.territory, "or")),
    ),
    *_family(
        "three_territories",
        join(_territory, _territory, _territory),
        three_territories=(4, list_of(names.territory)),
    ),
    *_family("language", _language, language=(0.3, names.language)),
    *_family(
        "two_languages",
        join(_language, _language),
        two_languages=(2, list_of(names.language)),
        two_languages_or=(2, list_of(names.language, "or")),
    ),
    *_family(
        "three_languages",
        join(_language, _language, _language),
        three_languages=(2, list_of(names.language)),
    ),
    *_family(
        "weekdays",
        join(_weekday, _weekday, _weekday),
        weekdays=(0.3, list_of(dates.weekday_name)),
    ),
    *_family(
        "months",
        join(_month, _month, _month),
        months=(0.5, list_of(dates.month_name)),
    ),
)

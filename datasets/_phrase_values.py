"""The values that phrases are made of, drawn at random.

A value is a pair `(kind, value)`, such as `("territory", "FR")`; the content
of a phrase is a tuple of them. It has no language.
"""

import datetime
import decimal
import random

from babel import numbers

# fmt: off
CURRENCIES = (
    "AUD", "BRL", "CAD", "CHF", "CLP", "CNY", "COP", "CZK", "DKK", "EGP",
    "EUR", "GBP", "HKD", "HUF", "IDR", "ILS", "INR", "ISK", "JPY", "KES",
    "KRW", "MAD", "MXN", "MYR", "NGN", "NOK", "NZD", "PHP", "PKR", "PLN",
    "RON", "RUB", "SEK", "SGD", "THB", "TRY", "TWD", "UAH", "USD", "VND",
    "ZAR",
)
UNITS = (
    "length-millimeter", "length-centimeter", "length-meter",
    "length-kilometer", "length-inch", "length-foot", "length-yard",
    "length-mile", "length-light-year", "mass-milligram", "mass-gram",
    "mass-kilogram", "mass-tonne", "mass-ounce", "mass-pound",
    "temperature-celsius", "temperature-fahrenheit",
    "speed-kilometer-per-hour", "speed-meter-per-second",
    "speed-mile-per-hour", "area-square-meter", "area-square-kilometer",
    "area-hectare", "volume-milliliter", "volume-liter",
    "volume-cubic-meter", "duration-second", "duration-minute",
    "duration-hour", "duration-day", "duration-week", "duration-month",
    "duration-year", "duration-century", "energy-calorie",
    "energy-kilowatt-hour", "power-watt", "power-kilowatt", "electric-volt",
    "electric-ampere", "frequency-hertz", "frequency-megahertz",
    "digital-byte", "digital-megabyte", "digital-gigabyte", "angle-degree",
)
# fmt: on
TIME_UNITS = ("second", "minute", "hour", "day", "week", "month", "year")

_FIRST_DAY = datetime.date(1900, 1, 1).toordinal()
_LAST_DAY = datetime.date(2099, 12, 31).toordinal()
_LEAP_YEAR = 2000


class Sampler:
    """Draws values, the same on every machine for the same seed.

    Args:
        seed: Integer or string.
        classes: Dictionary from a kind (`"territory"`) to its possible
            values. These are dealt like cards, from a shuffled deck which is
            shuffled anew when it is used up, so each is drawn equally often.
    """

    def __init__(self, seed, classes):
        self.random = random.Random(seed)
        self.classes = classes
        self._decks = {kind: [] for kind in classes}

    def from_class(self, kind):
        """Returns `((kind, value),)`."""
        deck = self._decks[kind]
        if not deck:
            deck.extend(self.classes[kind])
            self.random.shuffle(deck)
        return ((kind, deck.pop()),)

    def date(self):
        """Returns a date from 1900 to 2099."""
        day = self.random.randint(_FIRST_DAY, _LAST_DAY)
        return (("date", datetime.date.fromordinal(day)),)

    def near_date(self):
        """Returns a date from 1950 to 2049, told apart by two digits."""
        ((_, date),) = self.date()
        year = 1950 + date.year % 100
        if (date.month, date.day) == (2, 29):
            # A year and that year plus 50 are not both leap years.
            date = date.replace(day=28)
        return (("date", date.replace(year=year)),)

    def day_of_year(self):
        """Returns a day and month, as a date in a leap year."""
        day = datetime.date(_LEAP_YEAR, 1, 1) + datetime.timedelta(
            days=self.random.randrange(366)
        )
        return (("day_of_year", day),)

    def month_of_year(self):
        """Returns a month and year, as the first day of the month."""
        ((_, date),) = self.date()
        return (("month_of_year", date.replace(day=1)),)

    def quarter(self):
        """Returns a quarter and year, as the first day of the quarter."""
        ((_, date),) = self.date()
        first_month = (date.month - 1) // 3 * 3 + 1
        return (("quarter", date.replace(month=first_month, day=1)),)

    def dates_in_order(self):
        """Returns two dates, the second from a day to 20 years later."""
        ((_, start),) = self.date()
        longest = self.random.choice((20, 300, 7000))
        days = datetime.timedelta(days=self.random.randint(1, longest))
        return (("date", start), ("date", start + days))

    def minute(self):
        """Returns a time of day, to the minute."""
        moment = datetime.time(
            self.random.randrange(24), self.random.randrange(60)
        )
        return (("time", moment),)

    def second(self):
        """Returns a time of day, to the second."""
        ((_, moment),) = self.minute()
        return (("time", moment.replace(second=self.random.randrange(60))),)

    def number(self):
        """Returns a number up to ten million, some with decimal places."""
        whole = self.random.randrange(10 ** self.random.randint(1, 7))
        value = self._decimal(whole, self.random.choice((0, 0, 0, 1, 2, 3)))
        return (("number", value if self.random.random() < 0.9 else -value),)

    def part(self):
        """Returns a percentage, mostly below 100, some with a decimal."""
        whole = self.random.randrange(self.random.choice((10, 100, 100, 1000)))
        places = self.random.choice((0, 1, 1, 2))
        return (("number", self._decimal(whole, places)),)

    def count(self):
        """Returns a whole number from 1, mostly below 100."""
        limit = self.random.choice((10, 99, 99, 365))
        return (("number", decimal.Decimal(self.random.randint(1, limit))),)

    def measure(self):
        """Returns a number of units: mostly small, some with a decimal."""
        limit = self.random.choice((10, 100, 1000, 100_000))
        whole = self.random.randrange(1, limit)
        places = 1 if limit < 1000 and self.random.random() < 0.5 else 0
        return (("number", self._decimal(whole, places)),)

    def money(self):
        """Returns a currency and an amount that it can be written with."""
        ((kind, currency),) = self.from_class("currency")
        whole = self.random.randrange(1, 10 ** self.random.randint(1, 7))
        places = numbers.get_currency_precision(currency)
        if self.random.random() < 0.3:
            places = 0
        return ((kind, currency), ("number", self._decimal(whole, places)))

    def named_money(self):
        """Returns a currency named in words and a whole amount."""
        whole = self.random.randrange(1, 10 ** self.random.randint(1, 5))
        return (
            *self.from_class("named_currency"),
            ("number", decimal.Decimal(whole)),
        )

    def from_now(self):
        """Returns a unit of time, 1 (future) or -1 (past), and a count."""
        direction = ("direction", self.random.choice((1, -1)))
        return (*self.from_class("time_unit"), direction, *self.count())

    def duration(self):
        """Returns whole hours and minutes."""
        hours = decimal.Decimal(self.random.randint(1, 99))
        minutes = decimal.Decimal(self.random.randint(1, 59))
        return (("number", hours), ("number", minutes))

    def _decimal(self, whole, places):
        """Returns `whole` and a random fraction of up to `places` digits."""
        fraction = self.random.randrange(10**places)
        # Without trailing zeros, which are not written but would make a
        # plural of "1.0".
        while places and fraction % 10 == 0:
            fraction, places = fraction // 10, places - 1
        return decimal.Decimal(whole) + decimal.Decimal(fraction).scaleb(
            -places
        )


def with_parts(kind, value):
    """Returns a value and those that it contains, as a set.

    Who has seen a date has seen its month of its year.
    """
    contained = {(kind, value)}
    if kind == "date":
        month = (value.month - 1) // 3 * 3 + 1
        contained |= {
            ("day_of_year", value.replace(year=_LEAP_YEAR)),
            ("month_of_year", value.replace(day=1)),
            ("quarter", value.replace(month=month, day=1)),
        }
    elif kind == "time":
        contained.add((kind, value.replace(second=0)))
    return contained

"""Draws phrases in two languages until there are enough different ones."""

import dataclasses
import decimal
import itertools

from datasets import _cldr_names as names
from datasets import _cldr_numbers as numbers
from datasets import _phrase_values as values
from datasets import _segments
from datasets._pairs import fold
from datasets._phrase_shapes import SHAPES

# Fields of dates and times. A phrase whose source lacks one of its target's
# could not be translated.
_TO_BE_TOLD = frozenset(
    ("year", "quarter", "month", "day", "weekday", "hour", "minute", "second")
)
# Numbers of different grammatical number in the languages that have many.
_COUNTS = tuple(map(decimal.Decimal, ("1", "2", "5", "21", "1.5")))
_NUM_PROBES = 20


@dataclasses.dataclass(frozen=True)
class Phrase:
    """A phrase in two languages.

    Attributes:
        source: Text.
        target: Text.
        alignment: Rows `(source_start, source_end, target_start,
            target_end)`, in characters.
        shape: Name of its shape.
        content: Tuple of the `(kind, value)` it was made from.
    """

    source: str
    target: str
    alignment: tuple
    shape: str
    content: tuple


def generate(source_locale, target_locale, count, seed):
    """Yields `count` phrases, no two of which have the same source.

    Args:
        source_locale: `babel.Locale`.
        target_locale: `babel.Locale`.
        count: Number of phrases.
        seed: Integer or string.

    Raises:
        ValueError: There are not as many different phrases.
    """
    classes = closed_classes(source_locale, target_locale)
    shapes = usable_shapes(source_locale, target_locale, classes)
    sampler = values.Sampler(seed, classes)
    bounds = list(itertools.accumulate(shape.weight for shape in shapes))
    seen = set()
    # Small spaces (a single country) fill up, so some draws are in vain. If
    # most of them are, the whole space is too small.
    for _ in range(20 * count + 1000):
        if len(seen) == count:
            return
        (shape,) = sampler.random.choices(shapes, cum_weights=bounds)
        content = shape.draw(sampler)
        phrase = _phrase(source_locale, target_locale, shape, content)
        if phrase is None or (key := fold(phrase.source)) in seen:
            continue
        if _belongs_to_sibling(source_locale, shape, shapes, content, key):
            continue
        seen.add(key)
        yield phrase
    raise ValueError(
        "There are not as many different phrases as asked for: "
        f"{len(seen)} were found. Received: count={count}"
    )


def closed_classes(source_locale, target_locale):
    """Returns the closed classes of a pair of languages.

    Returns:
        Dictionary from a kind to the list of its values that both languages
        can name and that the source tells from all others.
    """
    candidates = {
        "territory": (names.territory_codes(source_locale), _of_territory),
        "language": (names.language_codes(source_locale), _of_language),
        "currency": (values.CURRENCIES, _of_money),
        "named_currency": (values.CURRENCIES, _of_named_money),
        "unit": (
            list(itertools.product(values.UNITS, ("long", "short"))),
            _of_quantity,
        ),
    }
    taken = set()
    classes = {
        "weekday": list(range(7)),
        "month": list(range(1, 13)),
        "time_unit": list(values.TIME_UNITS),
    }
    for kind, (members, texts) in candidates.items():
        classes[kind] = []
        for member in members:
            sources = _stable_texts(texts, source_locale, member)
            targets = _stable_texts(texts, target_locale, member)
            if sources and targets and taken.isdisjoint(sources):
                taken.update(sources)
                classes[kind].append(member)
    return classes


def usable_shapes(source_locale, target_locale, classes):
    """Returns the shapes that both languages have.

    A shape is left out if a pattern is missing, or if the target tells a
    field that the source does not.
    """
    usable = []
    for shape in SHAPES:
        sampler = values.Sampler(0, classes)
        try:
            for _ in range(_NUM_PROBES):
                content = shape.draw(sampler)
                source = _render(source_locale, shape, content)
                target = _render(target_locale, shape, content)
                untold = _segments.fields(target) - _segments.fields(source)
                if untold & _TO_BE_TOLD:
                    raise LookupError(f"Not told: {untold}")
        except LookupError:
            continue
        usable.append(shape)
    return usable


def _phrase(source_locale, target_locale, shape, content):
    """Returns the phrase of this content, None if it is not fit for use."""
    if len(set(content)) < len(content):
        return None  # "France and France"
    source = _render(source_locale, shape, content)
    target = _render(target_locale, shape, content)
    texts = _segments.join(source), _segments.join(target)
    if not all(map(_segments.is_stable, texts)):
        return None
    alignment = tuple(_segments.align(source, target))
    return Phrase(*texts, alignment, shape.name, content)


def _belongs_to_sibling(locale, shape, shapes, content, key):
    for sibling in shapes:
        if sibling is shape:
            return False
        if sibling.family == shape.family:
            text = _segments.join(_render(locale, sibling, content))
            if fold(text) == key:
                return True
    return False


def _render(locale, shape, content):
    return shape.render(locale, *[value for _, value in content])


def _stable_texts(texts, locale, member):
    """Returns the folded texts of a class member, None if it is not usable."""
    try:
        written = [_segments.join(text) for text in texts(locale, member)]
    except LookupError:
        return None
    if not all(text and _segments.is_stable(text) for text in written):
        return None
    return [fold(text) for text in written]


def _of_territory(locale, code):
    return [names.territory(locale, code)]


def _of_language(locale, code):
    return [names.language(locale, code)]


def _of_money(locale, code):
    return [numbers.money(locale, code, count) for count in _COUNTS]


def _of_named_money(locale, code):
    return [numbers.money_in_words(locale, code, count) for count in _COUNTS]


def _of_quantity(locale, unit):
    return [numbers.quantity(locale, unit, count) for count in _COUNTS]

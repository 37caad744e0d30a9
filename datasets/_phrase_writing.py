"""Whether a language would write a phrase in the same way as another does."""

import bisect
import re

from datasets import _phrase_generator
from datasets import _segments
from datasets._pairs import fold
from datasets._phrase_shapes import SHAPES
from datasets._phrase_values import Sampler

_SAMPLES_OF_A_SHAPE = 200
# Shapes that need no word have more forms than words have.
_SAMPLES_WITHOUT_WORDS = 800

_FAMILIES = {shape.name: shape.family for shape in SHAPES}

# Kinds of values whose numbers have bounds.
_OF_TIME = {"date", "day_of_year", "month_of_year", "quarter", "time"}

# Scripts that put no blank between words: each character counts as a word.
_WORD = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]"
    r"|[^\W\d_]+"
)
_NUMBER = re.compile(r"\d+")
# Months, hours, days and minutes end before 13, 24, 32 and 60.
_BOUNDS = (1, 13, 24, 32, 60)


class Writing:
    """How one language writes phrases, learned from many of them.

    Args:
        locale: `babel.Locale`.
    """

    def __init__(self, locale):
        self.locale = locale
        self.words, self.forms = set(), set()
        classes = _phrase_generator.closed_classes(locale, locale)
        # Always the same samples, whatever the seed of the data set.
        sampler = Sampler(str(locale), classes)
        for shape in _phrase_generator.usable_shapes(locale, locale, classes):
            has_words = self._learn(shape, sampler, _SAMPLES_OF_A_SHAPE)
            if not has_words:
                self._learn(shape, sampler, _SAMPLES_WITHOUT_WORDS)

    def writes(self, phrase, text):
        """Whether this language writes the content of a phrase as `text`."""
        for shape in SHAPES:
            if shape.family == _FAMILIES[phrase.shape]:
                try:
                    if self._text(shape, phrase.content) == text:
                        return True
                except LookupError:
                    pass  # This language has no such pattern.
        return False

    def _learn(self, shape, sampler, count):
        has_words = False
        for _ in range(count):
            content = shape.draw(sampler)
            text = self._text(shape, content)
            words = _WORD.findall(text)
            has_words |= bool(words)
            self.words.update(words)
            # The digits of a number are free, those of a date are not.
            of_time = any(kind in _OF_TIME for kind, _ in content)
            self.forms.add(form(text, of_time))
        return has_words

    def _text(self, shape, content):
        values = [value for _, value in content]
        return fold(_segments.join(shape.render(self.locale, *values)))


def may_write(phrase, writings):
    """Whether one of some languages may write the text of a phrase.

    A language may if it knows all the words, and either writes the same
    content so, or something else of the same form.

    Args:
        phrase: A `Phrase` of another language, of which the source counts.
        writings: The `Writing`s of the languages.
    """
    text = fold(phrase.source)
    words = _WORD.findall(text)
    forms = {form(text), form(text, of_time=True)}
    return any(
        writing.words.issuperset(words)
        and (forms & writing.forms or writing.writes(phrase, text))
        for writing in writings
    )


def form(text, of_time=False):
    """Returns a text with what matters of its numbers in their place.

    If a language writes one text of a form, it writes all of them, the
    rarest apart (a 30th of February).

    Args:
        text: A string.
        of_time: Whether the numbers are those of dates and times. Then it
            matters whether one of two digits begins with a zero and whether
            it can be a month, an hour, a day or a minute; else only how many
            digits there are.
    """
    kind = _kind_of_time if of_time else _kind
    return _NUMBER.sub(lambda match: kind(match[0]), text)


def _kind(digits):
    return f"<{len(digits)} digits>"


def _kind_of_time(digits):
    if len(digits) > 2:
        return _kind(digits)
    zero = "0" if len(digits) == 2 and digits[0] == "0" else ""
    bound = bisect.bisect_right(_BOUNDS, int(digits))
    return f"<{zero}{len(digits)}.{bound}>"

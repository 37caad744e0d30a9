"""Phrases in many languages; the class of each is its language.

The phrases of the data set `phrases` (dates, times, numbers, money, measures,
names), which Babel writes from the patterns of Unicode CLDR. "3/4/2021" is
English and Portuguese, "Canada" is English and French: what two of the
languages may write is left out and counted, so that each phrase has one right
answer. Nothing is downloaded.
"""

import itertools
import random

import babel

from datasets._classes import texts_dataset
from datasets._cldr_locales import parse_locale
from datasets._cldr_locales import tag_of
from datasets._pairs import fold
from datasets._phrase_generator import generate
from datasets._phrase_writing import may_write
from datasets._phrase_writing import Writing
from datasets._registry import LoadedDataset
from datasets._registry import register

# fmt: off
LANGUAGES = (
    "ar", "cs", "da", "de", "el", "en", "es", "fi", "fr", "hu", "it", "ja",
    "ko", "nl", "pl", "pt", "ru", "sv", "tr", "zh",
)
# fmt: on

# Phrases drawn of a language for each that is needed, before giving up.
_DRAWS = 5


@register("language_id")
def language_id(
    languages: list[str] | None = None,
    num_train: int = 40_000,
    num_validation: int = 2_000,
    num_test: int = 2_000,
    seed: int = 0,
):
    """Generates phrases in many languages, to be told by their language.

    The same arguments give the same phrases on every machine. A larger
    training set leaves validation and test unchanged.

    Args:
        languages: BCP-47 tags of languages of CLDR, by default twenty (see
            `LANGUAGES`).
        num_train: Number of phrases to train on, all languages together.
        num_validation: Number of phrases for validation.
        num_test: Number of phrases for the test.
        seed: Seed of the generator.

    Returns:
        A `LoadedDataset`. Each split has as many phrases of each language
        (give or take one), and no phrase is in it twice or in another split
        (compared after NFKC and folding of blanks). Its note says how many
        were left out, since two of the languages may write them.

    Raises:
        ValueError: A language is unknown, there are fewer than two, a number
            is negative, or there are too few phrases that only one of the
            languages writes.
    """
    sizes = {"test": num_test, "validation": num_validation, "train": num_train}
    for split, size in sizes.items():
        if size < 0:
            raise ValueError(
                "Numbers of phrases cannot be negative. "
                f"Received: num_{split}={size}"
            )
    locales = [
        parse_locale(tag, "languages")
        for tag in (LANGUAGES if languages is None else languages)
    ]
    if len(set(locales)) < max(2, len(locales)):
        raise ValueError(
            "At least two languages are needed, and each once. "
            f"Received: languages={languages!r}"
        )
    phrases = _UnambiguousPhrases(locales, sum(sizes.values()), seed)
    # Those to train on come last, so that their number changes no others.
    splits = {
        split: phrases.draw(size, f"{seed} {split}")
        for split, size in sizes.items()
    }
    return LoadedDataset(
        name="language_id",
        task="text_classification",
        description=f"Phrases in {len(locales)} languages, generated.",
        class_names=tuple(map(tag_of, locales)),
        licence="Unicode License v3 (CLDR), BSD 3-Clause (Babel)",
        url="https://cldr.unicode.org",
        citation=f"Unicode CLDR, as in Babel {babel.__version__}",
        notes=(
            f"{phrases.num_left_out:,} of {phrases.num_drawn:,} phrases are "
            "left out, which two or more of the languages may write.",
        ),
        splits={
            split: texts_dataset(*splits[split])
            for split in ("train", "validation", "test")
        },
    )


class _UnambiguousPhrases:
    """Draws phrases that only one of the languages writes."""

    def __init__(self, locales, count, seed):
        self.num_drawn = self.num_left_out = 0
        self._seen = set()
        self._writings = [Writing(locale) for locale in locales]
        limit = _DRAWS * (count // len(locales) + 100)
        self._generators = [
            generate(locale, locale, limit, f"{seed} {locale}")
            for locale in locales
        ]

    def draw(self, count, seed):
        """Returns the list of `count` texts, mixed, and that of labels."""
        num_languages = len(self._generators)
        examples = []
        for label, own in enumerate(self._generators):
            # The first languages have one more, if it can't be even.
            size = (count + num_languages - 1 - label) // num_languages
            texts = list(itertools.islice(self._of_language(label, own), size))
            if len(texts) < size:
                raise ValueError(
                    "Too few phrases that only one of the languages writes. "
                    "Received: "
                    f"language={tag_of(self._writings[label].locale)!r}, of "
                    f"which there are {len(texts)} where {size} are needed"
                )
            examples += [(text, label) for text in texts]
        random.Random(seed).shuffle(examples)
        return [text for text, _ in examples], [label for _, label in examples]

    def _of_language(self, label, generator):
        others = [
            writing
            for number, writing in enumerate(self._writings)
            if number != label
        ]
        for phrase in generator:
            self.num_drawn += 1
            key = fold(phrase.source)
            # Two languages may have drawn the same in spite of all.
            if key in self._seen or may_write(phrase, others):
                self.num_left_out += 1
                continue
            self._seen.add(key)
            yield phrase.source

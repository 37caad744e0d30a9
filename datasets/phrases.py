"""Parallel phrases whose word alignment is known, in any two languages.

Babel formats the same dates, times, numbers, money, measures, countries and
lists in two languages, from the patterns of Unicode CLDR. The phrases differ
in word order and inflection, and each field of the one (the day, the unit)
is known to stand for the same field of the other. Nothing is downloaded.
"""

import itertools

import babel
import numpy as np
import tensorflow as tf

from datasets._cldr_locales import parse_locale
from datasets._cldr_locales import tag_of
from datasets._phrase_generator import generate
from datasets._phrase_values import with_parts
from datasets._registry import LoadedDataset
from datasets._registry import register


@register("phrases")
def phrases(
    source_language: str = "en",
    target_language: str = "fr",
    num_train: int = 40_000,
    num_validation: int = 2_000,
    num_test: int = 2_000,
    seed: int = 0,
):
    """Generates phrases in two languages, with their gold alignment.

    The same arguments give the same phrases on every machine. The test
    phrases come first out of the generator, then those for validation, then
    those for training: a larger training set leaves the other two unchanged.

    Args:
        source_language: BCP-47 tag of a language of CLDR, such as `"en"`.
        target_language: BCP-47 tag of another.
        num_train: Number of phrases to train on.
        num_validation: Number of phrases for validation.
        num_test: Number of phrases for the test.
        seed: Seed of the generator.

    Returns:
        A `LoadedDataset`. No two phrases have the same source, over all
        splits (compared after NFKC and folding of blanks). Beside `source`
        and `target` an example has:

        - `alignment`, int32 `(num_fields, 4)`: rows `[source_start,
          source_end, target_start, target_end)` in characters (Unicode code
          points), one for each field that both sides have.
        - `shape`, string: the name of the phrase's shape.
        - `novel`, bool: at least one value of the phrase (this date, this
          number, this country) does not occur in the training split.

    Raises:
        ValueError: A language is unknown, both are the same, a number is
            negative, or there are not as many different phrases.
    """
    sizes = {"test": num_test, "validation": num_validation, "train": num_train}
    for split, size in sizes.items():
        if size < 0:
            raise ValueError(
                "Numbers of phrases cannot be negative. "
                f"Received: num_{split}={size}"
            )
    locales = (
        parse_locale(source_language, "source_language"),
        parse_locale(target_language, "target_language"),
    )
    if locales[0] == locales[1]:
        raise ValueError(
            "The two languages must differ. Received: "
            f"source_language={source_language!r}, "
            f"target_language={target_language!r}"
        )
    generated = generate(*locales, sum(sizes.values()), seed)
    splits = {
        split: list(itertools.islice(generated, size))
        for split, size in sizes.items()
    }
    known = set()
    for phrase in splits["train"]:
        known.update(*(with_parts(*value) for value in phrase.content))
    return LoadedDataset(
        name="phrases",
        task="translation",
        description=(
            "Dates, times, numbers, money, measures and names in two "
            "languages, generated, with gold alignments."
        ),
        source_language=tag_of(locales[0]),
        target_language=tag_of(locales[1]),
        licence="Unicode License v3 (CLDR), BSD 3-Clause (Babel)",
        url="https://cldr.unicode.org",
        citation=f"Unicode CLDR, as in Babel {babel.__version__}",
        splits={
            split: _dataset(splits[split], known)
            for split in ("train", "validation", "test")
        },
    )


def _dataset(phrases_of_split, known):
    """Returns phrases as tf.data; `known` are the values seen in training."""
    rows = [row for phrase in phrases_of_split for row in phrase.alignment]
    alignment = tf.RaggedTensor.from_row_lengths(
        np.array(rows, "int32").reshape(-1, 4),
        np.array(
            [len(phrase.alignment) for phrase in phrases_of_split], "int64"
        ),
    )
    novel = [
        not known.issuperset(phrase.content) for phrase in phrases_of_split
    ]
    examples = tf.data.Dataset.from_tensor_slices(
        {
            "source": _strings(phrases_of_split, "source"),
            "target": _strings(phrases_of_split, "target"),
            "alignment": alignment,
            "shape": _strings(phrases_of_split, "shape"),
            "novel": tf.constant(novel, tf.bool),
        }
    )
    # A slice of a ragged tensor is still called ragged.
    return examples.map(
        lambda example: {
            **example,
            "alignment": tf.reshape(example["alignment"], (-1, 4)),
        }
    )


def _strings(phrases_of_split, attribute):
    return tf.constant(
        [getattr(phrase, attribute) for phrase in phrases_of_split], tf.string
    )

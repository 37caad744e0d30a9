import collections
import datetime
import decimal
import itertools

import babel
import pytest

import datasets
from datasets import _phrase_values
from datasets._pairs import fold
from datasets._phrase_generator import generate
from datasets._phrase_generator import Phrase
from datasets._phrase_shapes import SHAPES
from datasets._phrase_writing import form
from datasets._phrase_writing import may_write
from datasets._phrase_writing import Writing
from datasets._segments import join

# Alike in pairs; and the one with another script.
LANGUAGES = ["en", "es", "fr", "it", "da", "nb", "ja"]
RENDER = {shape.name: shape.render for shape in SHAPES}


@pytest.fixture(scope="module")
def writings():
    return {tag: Writing(babel.Locale.parse(tag)) for tag in LANGUAGES}


def phrase(tag, shape, content):
    values = [value for _, value in content]
    text = join(RENDER[shape](babel.Locale.parse(tag), *values))
    return Phrase(text, text, (), shape, content)


def date(year, month, day):
    return (("date", datetime.date(year, month, day)),)


def number(text):
    return (("number", decimal.Decimal(text)),)


@pytest.mark.parametrize(
    "tag, shape, content, text, writers",
    [
        # The same in both.
        ("en", "territory", (("territory", "CA"),), "Canada", "fr it da nb"),
        ("es", "weekday_date", date(2021, 3, 5), "vie, 5 mar 2021", ""),
        ("da", "long_date", date(2021, 3, 5), "5. marts 2021", ""),
        ("da", "long_date", date(2021, 6, 5), "5. juni 2021", "nb"),
        # Another day in Spanish, and none.
        ("en", "short_date", date(2021, 3, 5), "3/5/21", "es"),
        ("en", "short_date", date(2021, 3, 25), "3/25/21", ""),
        ("es", "short_date", date(2021, 5, 25), "25/5/21", ""),
        # Another number elsewhere: 1.234 and 1,234.
        ("en", "number", number("1.234"), "1.234", "es it da ja"),
        ("it", "number", number("1.234"), "1,234", "en es fr da nb ja"),
        ("fr", "number", number("1234"), "1 234", "nb"),
        ("it", "number", number("1234567.5"), "1.234.567,5", "es da"),
        ("ja", "number", number("5"), "5", "en es fr it da nb"),
        # A time of day, and a number where the decimal sign is a point.
        (
            "fr",
            "time",
            (("time", datetime.time(15, 7)),),
            "15:07",
            "en es it nb ja",
        ),
        (
            "da",
            "time",
            (("time", datetime.time(15, 7)),),
            "15.07",
            "en ja",
        ),
    ],
)
def test_who_else_may_write_it(writings, tag, shape, content, text, writers):
    written = phrase(tag, shape, content)
    assert fold(written.source) == text
    found = {
        other
        for other in LANGUAGES
        if other != tag and may_write(written, [writings[other]])
    }
    assert found == set(writers.split())


def test_form():
    assert form("3/5/21", True) == form("1/9/19", True)
    texts = ["3/5/21", "3/13/21", "3/05/21", "13/5/21", "3/5/2021", "3-5-21"]
    assert len({form(text, True) for text in texts}) == len(texts)
    for bound in (13, 24, 32, 60):
        assert form(f"{bound}", True) != form(f"{bound - 1}", True)
    assert form("123 a", True) == form("456 a", True) != form("456 b", True)
    assert form("10,05") == form("32,99") != form("1,05")


def test_what_two_languages_write_is_found(writings, monkeypatch):
    # In a small world the same text comes up in several languages.
    monkeypatch.setattr(
        _phrase_values, "_FIRST_DAY", datetime.date(2020, 1, 1).toordinal()
    )
    monkeypatch.setattr(
        _phrase_values, "_LAST_DAY", datetime.date(2021, 6, 5).toordinal()
    )
    written = collections.defaultdict(dict)
    for tag in LANGUAGES:
        locale = babel.Locale.parse(tag)
        for each in generate(locale, locale, 3000, f"other {tag}"):
            written[fold(each.source)][tag] = each
    shared = {text: tags for text, tags in written.items() if len(tags) > 1}
    assert len(shared) > 200
    missed = [
        (text, tag, other)
        for text, of_tag in shared.items()
        for tag, other in itertools.permutations(of_tag, 2)
        if not may_write(of_tag[tag], [writings[other]])
    ]
    assert missed == []


@pytest.fixture(scope="module")
def loaded():
    return datasets.load(
        "language_id",
        languages=["en", "fr", "pt-PT"],
        num_train=301,
        num_validation=30,
        num_test=60,
    )


def texts(loaded):
    return {
        name: [
            (example["text"].decode(), int(example["label"]))
            for example in split.as_numpy_iterator()
        ]
        for name, split in loaded.splits.items()
    }


def test_splits(loaded):
    assert loaded.task == "text_classification"
    assert loaded.class_names == ("en", "fr", "pt-PT")
    counts = {
        name: collections.Counter(label for _, label in split)
        for name, split in texts(loaded).items()
    }
    assert counts == {
        "train": {0: 101, 1: 100, 2: 100},
        "validation": {0: 10, 1: 10, 2: 10},
        "test": {0: 20, 1: 20, 2: 20},
    }
    everything = [
        fold(text) for split in texts(loaded).values() for text, _ in split
    ]
    assert len(set(everything)) == 391
    (note,) = loaded.notes
    left_out, drawn = (
        int(word.replace(",", ""))
        for word in note.split()
        if word.replace(",", "").isdecimal()
    )
    assert drawn - left_out == 391
    assert 0.1 < left_out / drawn < 0.5


def test_labels_are_right(loaded):
    # Months are written differently in the three.
    months = {"May ": 0, " mai ": 1, " de maio ": 2, " juin ": 1, "June ": 0}
    found = [
        (label, months[month])
        for text, label in texts(loaded)["train"]
        for month in months
        if month in text
    ]
    assert len(found) > 8
    assert {label for label, _ in found} == {0, 1, 2}
    assert all(label == expected for label, expected in found)


def test_the_same_again_and_more_training(loaded):
    again = datasets.load(
        "language_id",
        languages=["en", "fr", "pt-PT"],
        num_train=3,
        num_validation=30,
        num_test=60,
    )
    for name in ("validation", "test"):
        assert texts(again)[name] == texts(loaded)[name]
    other = datasets.load(
        "language_id",
        languages=["en", "fr", "pt-PT"],
        num_train=0,
        num_validation=0,
        num_test=60,
        seed=1,
    )
    assert len(set(texts(other)["test"]) & set(texts(loaded)["test"])) < 10
    assert other.splits["train"].cardinality() == 0


@pytest.mark.parametrize(
    "options, message",
    [
        ({"languages": ["en"]}, r"At least two .*languages=\['en'\]"),
        ({"languages": ["en", "fr", "en"]}, r"each once"),
        ({"languages": ["en", "xx"]}, "Received: languages='xx'"),
        ({"num_test": -1}, "Received: num_test=-1"),
        (
            {"languages": ["en", "en-US"], "num_train": 0},
            r"Too few .*language='en', of which there are \d+ where 1000",
        ),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        datasets.load("language_id", **options)

import collections
import dataclasses
import datetime
import decimal
import itertools
import unicodedata

import babel
import pytest
import tensorflow as tf

import datasets
from datasets import _phrase_generator
from datasets import _phrase_shapes
from datasets import _phrase_values
from datasets._pairs import fold
from datasets._segments import align
from datasets._segments import join

LANGUAGES = ["en", "fr", "de", "es", "it", "nl", "pt", "pl", "ru", "ja"]
# Each language once as source and once as target, none of them as both.
PAIRS = list(zip(LANGUAGES, LANGUAGES[1:] + LANGUAGES[:1], strict=True))
SHAPES = {shape.name: shape for shape in _phrase_shapes.SHAPES}
DATE = datetime.date(2021, 3, 5)
TIME = datetime.time(15, 7)
THREE = decimal.Decimal(3)
MONEY = decimal.Decimal("1234.5")


def generate(pair, count, seed=0):
    locales = [babel.Locale.parse(language) for language in pair]
    return list(_phrase_generator.generate(*locales, count, seed))


@pytest.fixture(scope="module", params=PAIRS, ids="-".join)
def phrases_of_pair(request):
    return generate(request.param, 4000)


@pytest.fixture(scope="module")
def default():
    return datasets.load("phrases").splits


@pytest.fixture(scope="module")
def sources(default):
    """The folded sources of the default data set, by split."""
    return {
        name: [
            fold(source.decode())
            for batch in split.map(lambda x: x["source"]).batch(1000)
            for source in batch.numpy()
        ]
        for name, split in default.items()
    }


@pytest.fixture(scope="module")
def test_examples(default):
    return list(default["test"].as_numpy_iterator())


@pytest.mark.parametrize(
    "shape, values, target_language, source, target, words",
    [
        (
            "long_date",
            (DATE,),
            "fr",
            "March 5, 2021",
            "5 mars 2021",
            [("March", "mars"), ("5", "5"), ("2021", "2021")],
        ),
        (
            "full_date",
            (DATE,),
            "ja",
            "Friday, March 5, 2021",
            "2021年3月5日金曜日",
            [
                ("Friday", "金曜日"),
                ("March", "3"),
                ("5", "5"),
                ("2021", "2021"),
            ],
        ),
        (
            "short_date",
            (DATE,),
            "fr",
            "3/5/21",
            "05/03/2021",
            [("3", "03"), ("5", "05"), ("21", "2021")],
        ),
        (
            "time",
            (TIME,),
            "fr",
            "3:07\u202fPM",
            "15:07",
            [("3", "15"), ("07", "07")],
        ),
        (
            "date_interval",
            (DATE, DATE.replace(day=9)),
            "de",
            "Mar 5\u2009\u2013\u20099, 2021",
            "5.\u20139. März 2021",
            [("Mar", "März"), ("5", "5"), ("9", "9"), ("2021", "2021")],
        ),
        (
            "money",
            ("USD", MONEY),
            "fr",
            "$1,234.50",
            "1\u202f234,50\xa0$US",
            [("$", "$US"), ("1,234.50", "1\u202f234,50")],
        ),
        (
            "named_money",
            ("EUR", THREE),
            "pl",
            "3 euros",
            "3 euro",
            [("3", "3"), ("euros", "euro")],
        ),
        (
            "percent",
            (decimal.Decimal("12.5"),),
            "fr",
            "12.5%",
            "12,5\xa0%",
            [("12.5", "12,5"), ("%", "%")],
        ),
        (
            "measure",
            (("length-meter", "long"), THREE),
            "ru",
            "3 meters",
            "3 метра",
            [("3", "3"), ("meters", "метра")],
        ),
        (
            "measure",
            (("temperature-fahrenheit", "long"), THREE),
            "ja",
            "3 degrees Fahrenheit",
            "華氏 3 度",
            [
                ("3", "3"),
                ("degrees Fahrenheit", "華氏"),
                ("degrees Fahrenheit", "度"),
            ],
        ),
        (
            "from_now",
            ("week", 1, THREE),
            "fr",
            "in 3 weeks",
            "dans 3 semaines",
            [("in", "dans"), ("3", "3"), ("weeks", "semaines")],
        ),
        (
            "from_now",
            ("day", -1, THREE),
            "fr",
            "3 days ago",
            "il y a 3 jours",
            [("3", "3"), ("days", "jours"), ("ago", "il y a")],
        ),
        (
            "three_territories",
            ("FR", "DE", "US"),
            "fr",
            "France, Germany, and United States",
            "France, Allemagne et États-Unis",
            [
                ("France", "France"),
                ("Germany", "Allemagne"),
                ("and", "et"),
                ("United States", "États-Unis"),
            ],
        ),
    ],
)
def test_phrases_by_hand(shape, values, target_language, source, target, words):
    sides = [
        SHAPES[shape].render(babel.Locale.parse(language), *values)
        for language in ("en", target_language)
    ]
    assert [join(side) for side in sides] == [source, target]
    assert [(source[a:b], target[c:d]) for a, b, c, d in align(*sides)] == words


def test_spans(phrases_of_pair):
    for phrase in phrases_of_pair:
        assert phrase.alignment, phrase
        for start, end, target_start, target_end in phrase.alignment:
            for text, span in (
                (phrase.source, (start, end)),
                (phrase.target, (target_start, target_end)),
            ):
                assert 0 <= span[0] < span[1] <= len(text)
                words = text[slice(*span)]
                assert words == words.strip()
                # A span says the same before and after normalisation.
                assert fold(text)[slice(*span)] == fold(words)


def test_characters_are_kept(phrases_of_pair):
    for phrase in phrases_of_pair:
        for text in (phrase.source, phrase.target):
            assert len(unicodedata.normalize("NFKC", text)) == len(text)
            assert len(fold(text)) == len(text)


def test_each_shape_occurs(phrases_of_pair):
    # These three are written like an earlier shape of their family in some
    # of the source languages.
    may_be_absent = {"time_24_hours", "short_date", "short_month_of_year"}
    absent = SHAPES.keys() - {phrase.shape for phrase in phrases_of_pair}
    assert absent <= may_be_absent


def test_most_values_are_aligned(phrases_of_pair):
    # Not one field may be lost silently: what is not aligned is punctuation,
    # a.m. and p.m., or a literal of a pattern.
    for phrase in phrases_of_pair:
        digits = sum(map(str.isdigit, phrase.source))
        aligned = sum(
            sum(map(str.isdigit, phrase.source[start:end]))
            for start, end in {row[:2] for row in phrase.alignment}
        )
        assert aligned == digits, phrase


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_a_source_says_which_target_it_has(pair, monkeypatch):
    # In a small world the same source comes up again and again.
    monkeypatch.setattr(
        _phrase_values, "_FIRST_DAY", datetime.date(2020, 3, 25).toordinal()
    )
    monkeypatch.setattr(
        _phrase_values, "_LAST_DAY", datetime.date(2020, 6, 5).toordinal()
    )
    monkeypatch.setattr(
        _phrase_values.Sampler,
        "_decimal",
        lambda self, whole, places: decimal.Decimal(1 + whole % 5),
    )
    targets = collections.defaultdict(set)
    for seed in range(4):
        for phrase in generate(pair, 1500, seed):
            targets[fold(phrase.source)].add(fold(phrase.target))
    assert len(targets) < 5000
    assert {
        source: sides for source, sides in targets.items() if len(sides) > 1
    } == {}


def test_sizes_and_types(default):
    assert {name: int(x.cardinality()) for name, x in default.items()} == {
        "train": 40_000,
        "validation": 2_000,
        "test": 2_000,
    }
    assert default["train"].element_spec == {
        "source": tf.TensorSpec((), tf.string),
        "target": tf.TensorSpec((), tf.string),
        "alignment": tf.TensorSpec((None, 4), tf.int32),
        "shape": tf.TensorSpec((), tf.string),
        "novel": tf.TensorSpec((), tf.bool),
    }


def test_splits_are_disjoint(sources):
    for split in sources.values():
        assert len(set(split)) == len(split)
    for first, second in itertools.combinations(sources.values(), 2):
        assert not set(first) & set(second)


def test_the_first_phrases_stay_what_they_are(test_examples):
    # These change only with Babel or the shapes, and then results do, too.
    first = [
        (example["source"].decode(), example["target"].decode())
        for example in test_examples[2:7:2]
    ]
    assert first == [
        ("Tuesday, November 6, 1900", "mardi 6 novembre 1900"),
        (
            "Laos or British Virgin Islands",
            "Laos ou Îles Vierges britanniques",
        ),
        (
            "NGN3.72 and UAH341.00",
            "3,72\xa0NGN et 341,00\xa0UAH",
        ),
    ]
    assert test_examples[2]["alignment"].tolist() == [
        [0, 7, 0, 5],
        [9, 17, 8, 16],
        [18, 19, 6, 7],
        [21, 25, 17, 21],
    ]


def test_more_training_leaves_the_test_unchanged():
    small, large = (
        datasets.load(
            "phrases", num_train=size, num_validation=10, num_test=50
        ).splits
        for size in (100, 200)
    )
    for split, size in (("test", 50), ("validation", 10), ("train", 100)):
        for one, other in zip(
            small[split], large[split].take(size), strict=True
        ):
            assert one["source"] == other["source"]
            assert one["target"] == other["target"]


def test_another_seed_gives_other_phrases():
    first, second = (generate(("en", "fr"), 200, seed) for seed in (0, 1))
    assert len({x.source for x in first} & {x.source for x in second}) < 20


def test_closed_classes_are_well_known_from_training(sources):
    source, target = map(babel.Locale.parse, ("en", "fr"))
    counts = collections.Counter(
        value
        for phrase in _phrase_generator.generate(source, target, 44_000, 0)
        for value in phrase.content
    )
    classes = _phrase_generator.closed_classes(source, target)
    assert len(classes["territory"]) > 250
    rarest = {
        kind: min(counts[kind, value] for value in values)
        for kind, values in classes.items()
    }
    # Of these 44,000 phrases 40,000 are for training.
    assert min(rarest.values()) >= 20, rarest
    train = "\n".join(sources["train"])
    for code in classes["territory"]:
        assert train.count(fold(source.territories[code])) >= 10


def test_novel_is_honest(sources, test_examples):
    train = " ".join(sources["train"])
    novel = [example for example in test_examples if example["novel"]]
    assert 0.4 < len(novel) / len(test_examples) < 0.7
    of_shape = collections.defaultdict(list)
    for example in test_examples:
        of_shape[example["shape"]].append(example)
    for example in of_shape[b"number"]:
        number = fold(example["source"].decode())
        if example["novel"]:
            assert f" {number} " not in train
        else:
            assert number in train
    for example in of_shape[b"time_of_second"]:
        if example["novel"]:
            time = fold(example["source"].decode())
            assert f" {time}" not in train
    for shape in (b"from_now", b"two_territories", b"three_languages"):
        assert not any(example["novel"] for example in of_shape[shape])


def test_numbers_are_drawn_as_they_are_written():
    # "1.0" is written "1", yet in English it would be the plural.
    for phrase in generate(("en", "fr"), 3000):
        for kind, value in phrase.content:
            if kind == "number" and value % 1 == 0:
                assert value.as_tuple().exponent == 0


def test_two_digits_tell_the_year():
    short = [
        value.year
        for phrase in generate(("en", "fr"), 4000)
        for kind, value in phrase.content
        if kind == "date" and phrase.shape.startswith("short_date")
    ]
    assert len(short) > 100
    assert 1950 <= min(short) < 1960
    assert 2040 <= max(short) < 2050


def test_unstable_names_are_left_out(monkeypatch):
    def name(locale, code):
        return [("½" if code == "FR" else code, "territory")]

    monkeypatch.setattr(_phrase_generator.names, "territory", name)
    codes = _phrase_generator.closed_classes(
        babel.Locale.parse("en"), babel.Locale.parse("fr")
    )["territory"]
    assert "DE" in codes
    assert "FR" not in codes


def test_unstable_phrases_are_left_out(monkeypatch):
    def render(locale, value):
        ending = "" if value.day > 5 else " ½"
        return [(f"{value}{ending}", "date")]

    shape = dataclasses.replace(SHAPES["long_date"], render=render)
    monkeypatch.setattr(_phrase_generator, "SHAPES", [shape])
    days = {phrase.content[0][1].day for phrase in generate(("en", "fr"), 900)}
    assert days == set(range(6, 32))


def test_a_value_contains_its_parts():
    assert _phrase_values.with_parts("date", datetime.date(2020, 2, 29)) == {
        ("date", datetime.date(2020, 2, 29)),
        ("day_of_year", datetime.date(2000, 2, 29)),
        ("month_of_year", datetime.date(2020, 2, 1)),
        ("quarter", datetime.date(2020, 1, 1)),
    }
    assert _phrase_values.with_parts("time", datetime.time(1, 2, 3)) == {
        ("time", datetime.time(1, 2, 3)),
        ("time", datetime.time(1, 2)),
    }
    assert _phrase_values.with_parts("number", 3) == {("number", 3)}


@pytest.mark.parametrize(
    "options, message",
    [
        ({"source_language": "xx"}, "Received: source_language='xx'"),
        ({"target_language": "e n"}, "Received: target_language='e n'"),
        ({"target_language": ""}, "Received: target_language=''"),
        ({"target_language": "en"}, "must differ.*target_language='en'"),
        ({"num_test": -1}, "Received: num_test=-1"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        datasets.load("phrases", **options)


def test_too_few_different_phrases(monkeypatch):
    names = [SHAPES["territory"]]
    monkeypatch.setattr(_phrase_generator, "SHAPES", names)
    assert len(generate(("en", "fr"), 200)) == 200
    with pytest.raises(ValueError, match=r"260 were .* Received: count=300"):
        generate(("en", "fr"), 300)


def test_a_shape_that_is_not_told_is_left_out(monkeypatch):
    full = SHAPES["full_date"]

    def without_weekday(locale, value):
        style = "long" if locale.language == "en" else "full"
        return _phrase_shapes.dates.date(locale, value, style)

    shapes = [
        full,
        dataclasses.replace(full, name="poor", render=without_weekday),
        dataclasses.replace(
            full, name="missing", render=_phrase_shapes.date("no such")
        ),
    ]
    monkeypatch.setattr(_phrase_generator, "SHAPES", shapes)
    usable = _phrase_generator.usable_shapes(
        babel.Locale.parse("en"), babel.Locale.parse("fr"), {}
    )
    assert usable == [full]


@pytest.mark.parametrize(
    "tags", [("pt-PT", "zh-Hant"), ("ar", "he"), ("fi", "ko"), ("hi", "th")]
)
def test_other_languages(tags):
    loaded = datasets.load(
        "phrases",
        source_language=tags[0],
        target_language=tags[1],
        num_train=300,
        num_validation=0,
        num_test=0,
    )
    assert (loaded.source_language, loaded.target_language) == tags
    assert len(list(loaded.splits["train"])) == 300

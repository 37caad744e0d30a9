import gzip
import itertools

import pytest

import datasets

ROWS = [(f"text {number}", "abc"[number % 3]) for number in range(30)]
TEXT = "text,label\n" + "".join(f"{text},{label}\n" for text, label in ROWS)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "texts.csv"


def load(path, content=None, **options):
    if content is not None:
        if isinstance(content, str):
            content = content.encode()
        path.write_bytes(content)
    return datasets.load(f"csv:{path}", **options)


def rows(loaded):
    return {
        name: [
            (
                example["text"].decode(),
                loaded.class_names[example["label"]],
            )
            for example in split.as_numpy_iterator()
        ]
        for name, split in loaded.splits.items()
    }


def everything(loaded):
    return sorted(itertools.chain(*rows(loaded).values()))


def test_splits(path):
    loaded = load(path, TEXT, validation_fraction=0.1, test_fraction=0.2)
    assert loaded.task == "text_classification"
    assert loaded.class_names == ("a", "b", "c")
    assert loaded.name == f"csv:{path}"
    assert loaded.notes == ()
    for split in rows(loaded).values():
        assert {label for _, label in split} == {"a", "b", "c"}
    assert everything(loaded) == sorted(ROWS)
    again = load(path, validation_fraction=0.1, test_fraction=0.2)
    assert rows(again) == rows(loaded)
    assert rows(load(path, seed=1)) != rows(load(path))


def test_rows_may_be_added_anywhere(path):
    old = TEXT.partition("\n")[2]
    before = rows(load(path, TEXT, test_fraction=0.3))
    new = "".join(f"new {number},a\n" for number in range(20))
    content = "text,label\n" + new + old + new.replace("new", "newer")
    after = rows(load(path, content, test_fraction=0.3))
    for name, split in before.items():
        assert set(split) <= set(after[name])


def test_a_text_is_in_one_split(path):
    # The same after normalisation, and of two classes.
    content = TEXT + "text\xa01,b\ntext  1,c\n"
    for seed in range(4):
        splits = rows(load(path, content, test_fraction=0.4, seed=seed))
        holders = {
            name
            for name, split in splits.items()
            for text, _ in split
            if " ".join(text.split()) == "text 1"
        }
        assert len(holders) == 1
        assert sum(map(len, splits.values())) == 32


def test_columns_quotes_and_blanks(path):
    content = (
        'id,"the class",review\n1, yes ,"a, ""b""\nc"\n\n2,yes,d\n3,no,e\n'
        "4,no,f\n"
    )
    by_name = {"text_column": "review", "label_column": "the class"}
    by_number = {"text_column": 2, "label_column": "1"}
    for columns in (by_name, by_number):
        loaded = load(path, content, **columns)
        assert loaded.class_names == ("no", "yes")
        assert everything(loaded) == [
            ('a, "b"\nc', "yes"),
            ("d", "yes"),
            ("e", "no"),
            ("f", "no"),
        ]


def test_without_a_header(path):
    loaded = load(
        path,
        TEXT.partition("\n")[2],
        header=False,
        text_column=0,
        label_column=1,
    )
    assert everything(loaded) == sorted(ROWS)


def test_tabs_and_gzip(tmp_path):
    content = gzip.compress(TEXT.replace(",", "\t").encode())
    assert everything(load(tmp_path / "x.tsv.gz", content)) == sorted(ROWS)


def test_own_files_for_validation_and_test(path, tmp_path):
    other = tmp_path / "other.csv"
    other.write_text("text,label\nfirst,c\nsecond,a\n")
    loaded = load(path, TEXT, validation_path=str(other))
    assert rows(loaded)["validation"] == [("first", "c"), ("second", "a")]
    assert {label for _, label in rows(loaded)["test"]} == {"a", "b", "c"}
    loaded = load(path, validation_path=str(other), test_path=str(other))
    assert sorted(rows(loaded)["train"]) == sorted(ROWS)


def test_a_class_that_training_lacks(path, tmp_path):
    other = tmp_path / "other.csv"
    other.write_text('text,label\n"two\nlines",a\nx,d\n')
    with pytest.raises(
        datasets.DataError,
        match=r"other\.csv, line 4: .* Known: 'a', 'b', 'c'\. .*label='d'",
    ):
        load(path, TEXT, test_path=str(other))


def test_a_rare_class_is_noted(path):
    loaded = load(path, TEXT + "one,rare\n")
    assert ("one", "rare") in rows(loaded)["train"]
    (note,) = loaded.notes
    assert "'rare'" in note and "'a'" not in note


def test_numbers_as_classes(path):
    content = "text,label\n" + "".join(
        f"t{number},{number % 11}\n" for number in range(44)
    )
    loaded = load(path, content)
    assert loaded.class_names == tuple(map(str, range(11)))


def test_form_and_empty_rows(path):
    content = TEXT.replace(",", ";") + "né;\n;a\n"
    loaded = load(
        path,
        content.encode("cp1252"),
        delimiter=";",
        encoding="cp1252",
        empty="skip",
    )
    assert everything(loaded) == sorted(ROWS)
    assert loaded.notes == (
        f"{path}: 2 rows with an empty column are left out.",
    )


@pytest.mark.parametrize(
    "content, message",
    [
        (TEXT + "alone\n", r"line 32: column 1 is missing .*: 1 columns"),
        (TEXT + " ,b\n", r"line 32: column 0 is empty"),
        (TEXT + "a,\n", r"line 32: column 1 is empty"),
        (TEXT + 'a,"b\n', r"line 32: a quote is opened .* never"),
        (TEXT.encode() + b"a\xff,b\n", r"line 32: not valid UTF-8"),
        ("", "no such column"),
        ("text,label\n", "has no rows"),
        ("text,label\na,x\nb,x\nc,x\n", r"at least two classes .*\['x'\]"),
        ("review,sentiment\na,x\n", r"line 1: .*\('review', 'sentiment'\)"),
    ],
)
def test_bad_files(path, content, message):
    with pytest.raises(datasets.DataError, match=message) as error:
        load(path, content)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"header": False}, r"without a header.*column='text'"),
        ({"label_column": 7}, r"line 2: column 7 is missing"),
        ({"test_fraction": 0}, r"Received: test_fraction=0"),
        ({"validation_fraction": 1.5}, r"Received: validation_fraction=1.5"),
        (
            {"test_fraction": 0.5, "validation_fraction": 0.5},
            r"below 1.*test_fraction=0\.5, validation_fraction=0\.5",
        ),
        ({"test_path": "missing.csv"}, r"Received: path='missing.csv'"),
    ],
)
def test_bad_options(path, options, message):
    with pytest.raises(ValueError, match=message):
        load(path, TEXT, **options)

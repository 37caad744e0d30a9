import gzip
import itertools

import pytest

import datasets

PAIRS = [(f"source {number}", f"target {number}") for number in range(20)]
TEXT = "".join(f"{source}\t{target}\n" for source, target in PAIRS)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "pairs.tsv"


def load(path, content=None, **options):
    if content is not None:
        if isinstance(content, str):
            content = content.encode()
        path.write_bytes(content)
    loaded = datasets.load(f"tsv:{path}", **options)
    return {
        name: [
            (example["source"].decode(), example["target"].decode())
            for example in split.as_numpy_iterator()
        ]
        for name, split in loaded.splits.items()
    }


def everything(splits):
    return sorted(itertools.chain(*splits.values()))


def test_splits(path):
    splits = load(path, TEXT, validation_fraction=0.1, test_fraction=0.25)
    assert set(splits) == {"train", "validation", "test"} and all(
        splits.values()
    )
    assert everything(splits) == sorted(PAIRS)
    assert splits == load(path, validation_fraction=0.1, test_fraction=0.25)
    assert splits["train"] != load(path, seed=1)["train"]


def test_pairs_may_be_added_anywhere(path):
    before = load(path, TEXT)
    after = load(path, "new\tone\nnewer\tone\n" + TEXT + "last\tone\n")
    for name, pairs in before.items():
        assert set(pairs) <= set(after[name])


def test_one_source_is_in_one_split(path):
    # The third is the second after normalisation.
    content = TEXT + "source 1\tanother\nsource\xa01\tone more\n"
    splits = load(path, content, test_fraction=0.4, validation_fraction=0.4)
    assert len(everything(splits)) == 22
    holders = [
        name
        for name, pairs in splits.items()
        for source, _ in pairs
        if source in ("source 1", "source\xa01")
    ]
    assert len(holders) == 3
    assert len(set(holders)) == 1


def test_quoted_columns(path):
    content = TEXT + '"a\tb"\t"says ""no""\r\ntwice"\n'
    pairs = everything(load(path, content))
    assert ("a\tb", 'says "no"\ntwice') in pairs


def test_quotes_inside_a_plain_column(path):
    content = TEXT + 'He said "no".\t5" wide\n'
    assert ('He said "no".', '5" wide') in everything(load(path, content))


def test_no_quoting(path):
    content = TEXT + '"Hi."\t"Salut."\n"Hi", he said.\t"a\n'
    pairs = everything(load(path, content, quoting="none"))
    assert {('"Hi."', '"Salut."'), ('"Hi", he said.', '"a')} <= set(pairs)
    with pytest.raises(datasets.DataError, match=r"--data\.quoting none"):
        load(path, content)


def test_quotes_that_join_two_rows_are_told(path):
    path.write_text(
        TEXT + '"I am tired.\t« Je suis fatigué.\nLet\'s go."\tRentrons. »\n'
    )
    loaded = datasets.load(f"tsv:{path}")
    (note,) = loaded.notes
    assert "1 rows go on in the next line, the first in line 21" in note
    assert "--data.quoting none" in note
    assert datasets.load(f"tsv:{path}", quoting="none").notes == ()


def test_a_carriage_return_inside_a_line(path):
    content = TEXT + "a\rb\tc\n"
    with pytest.raises(datasets.DataError, match="carriage return stands"):
        load(path, content)
    assert ("a b", "c") in everything(load(path, content, quoting="none"))


def test_byte_order_mark_blank_lines_and_carriage_returns(path):
    content = "\ufeff" + TEXT.replace("\n", "\r\n\r\n")
    assert everything(load(path, content)) == sorted(PAIRS)


def test_gzip_and_csv(tmp_path):
    content = gzip.compress(TEXT.replace("\t", ",").encode())
    path = tmp_path / "pairs.csv.gz"
    assert everything(load(path, content)) == sorted(PAIRS)


def test_columns(path):
    content = "id\tfrench\tenglish\n" + "".join(
        f"{number}\t{target}\t{source}\n"
        for number, (source, target) in enumerate(PAIRS)
    )
    by_name = {"source_column": "english", "target_column": "french"}
    by_number = {"source_column": 2, "target_column": "1"}
    for columns in (by_name, by_number):
        splits = load(path, content, header=True, **columns)
        assert everything(splits) == sorted(PAIRS)


def test_own_files_for_validation_and_test(path, tmp_path):
    other = tmp_path / "other.tsv"
    other.write_text("a\tb\nc\td\n")
    splits = load(path, TEXT, validation_path=str(other))
    assert splits["validation"] == [("a", "b"), ("c", "d")]
    assert splits["test"] and set(splits["test"]) <= set(PAIRS)
    splits = load(path, validation_path=str(other), test_path=str(other))
    assert splits["test"] == splits["validation"]
    assert sorted(splits["train"]) == sorted(PAIRS)


def test_form_and_empty_rows(path):
    content = TEXT.replace("\t", ";") + "a;\n"
    path.write_bytes(content.encode("utf-16"))
    loaded = datasets.load(
        f"tsv:{path}", delimiter=";", encoding="utf-16", empty="skip"
    )
    assert sum(int(x.cardinality()) for x in loaded.splits.values()) == 20
    (note,) = loaded.notes
    assert "1 rows with an empty column" in note


def test_languages(path):
    path.write_text(TEXT)
    loaded = datasets.load(
        f"tsv:{path}", source_language="en", target_language="fr"
    )
    assert loaded.name == f"tsv:{path}"
    assert (loaded.source_language, loaded.target_language) == ("en", "fr")


@pytest.mark.parametrize(
    "content, message",
    [
        (TEXT + "alone\n", r"line 21: column 1 is missing .*: 1 columns"),
        (TEXT + "\tb\n", r"line 21: column 0 is empty"),
        (TEXT + "a\t \xa0\n", r"line 21: column 1 is empty"),
        ('"x\ny"\tz\n' + TEXT + "\n\tb\n", r"line 24: column 0 is empty"),
        (TEXT + 'a\t"b\n' + TEXT, r"line 21: a quote is opened .* never"),
        (TEXT + 'a\t"b\n' + TEXT * 500, r"line 21: a quote is opened"),
        (TEXT + '"a" b\tc\n', r"line 21: .* expected after .*twice"),
        (TEXT.encode() + b"a\tb\xff\n", r"line 21: not valid UTF-8 \(byte 4 "),
        (TEXT.encode("utf-16"), r"line 1: not valid UTF-8"),
        ("", r"has no rows"),
        ("\n\n", r"has no rows"),
        ("a\tb\nc\td\n", r"Too few .*Received: 2 different"),
        ("a\tb\n" * 20, r"Too few .*Received: 1 different"),
    ],
)
def test_bad_files(path, content, message):
    with pytest.raises(datasets.DataError, match=message) as error:
        load(path, content)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"source_column": "english"}, r"without a header.*column='english'"),
        ({"target_column": -1}, r"Received: column=-1"),
        (
            {"source_column": "x", "header": True},
            r"by name \('source 0', 'target 0'\)\. Received: column='x'",
        ),
        ({"source_column": 7}, r"line 1: column 7 is missing"),
        ({"test_fraction": 0}, r"Received: test_fraction=0"),
        ({"validation_fraction": 1.5}, r"Received: validation_fraction=1.5"),
        ({"test_fraction": 0.5, "validation_fraction": 0.5}, r"below 1"),
        ({"test_path": "missing.tsv"}, r"Received: path='missing.tsv'"),
    ],
)
def test_bad_options(path, options, message):
    with pytest.raises(ValueError, match=message):
        load(path, TEXT, **options)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(datasets.DataError, match=r"cannot be read.*No such"):
        load(tmp_path / "missing.tsv")
    with pytest.raises(datasets.DataError, match="cannot be read"):
        load(tmp_path)
    packed = gzip.compress(TEXT.encode())
    for content in (b"plain", packed[:-12], packed[:40] + bytes(20)):
        with pytest.raises(datasets.DataError, match="cannot be read"):
            load(tmp_path / "pairs.tsv.gz", content)

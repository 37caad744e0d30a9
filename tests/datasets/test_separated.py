import codecs
import csv
import gzip

import pytest

import datasets
from datasets import _separated
from datasets._separated import Format
from datasets._separated import read_columns


def read(path, content, notes=None, columns=(0, 1), **form):
    path.write_bytes(content)
    notes = [] if notes is None else notes
    form = Format(**{"header": False, **form})
    return [texts for _, texts in read_columns(path, columns, form, notes)]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "some.csv"


def test_a_long_column_is_read(path):
    long = "x" * 200_000
    assert read(path, f'a,"{long}"\n'.encode()) == [["a", long]]
    assert csv.field_size_limit() >= _separated.LONGEST_COLUMN


def test_too_long_a_column_and_an_open_quote_are_two_errors(path):
    rows = b"a,b\n" * 3
    with pytest.raises(datasets.DataError, match=r"line 4: a quote .* never"):
        read(path, rows + b'a,"' + b"b\n" * 200_000)
    too_long = b"x" * (_separated.LONGEST_COLUMN + 1)
    with pytest.raises(
        datasets.DataError, match=r"line 4: .* more than 16,777,216 char"
    ):
        read(path, rows + b"a," + too_long + b"\n")


def test_empty_columns_are_an_error_that_says_how_to_go_on(path):
    with pytest.raises(
        datasets.DataError,
        match=r"line 2: column 1 is empty.*--data\.empty skip.*'c'",
    ):
        read(path, b"a,b\nc, \nd,e\n")


def test_empty_columns_are_left_out_and_counted(path):
    notes = []
    content = b"a,b\nc, \n,\nd,e,\n"
    assert read(path, content, notes, empty="skip") == [["a", "b"], ["d", "e"]]
    assert notes == [f"{path}: 2 rows with an empty column are left out."]
    with pytest.raises(datasets.DataError, match=r"no rows.* 1 left out"):
        read(path, b"a,\n", empty="skip")
    # A column that is missing is a mistake in the form of the file.
    with pytest.raises(datasets.DataError, match="line 2: column 1 is missing"):
        read(path, b"a,b\nc\n", empty="skip")


@pytest.mark.parametrize(
    "delimiter, content",
    [
        (None, b"a,b;\n"),
        (";", b"a;b;\n"),
        ("|", b"a|b;\n"),
        ("tab", b"a\tb;\n"),
        ("\\t", b"a\tb;\n"),
        ("\t", b"a\tb;\n"),
    ],
)
def test_delimiters(path, delimiter, content):
    ((first, second),) = read(path, content, delimiter=delimiter)
    assert (first, second.rstrip(";")) == ("a", "b")


def test_the_usual_delimiter_is_of_other_names_only(tmp_path):
    for name, content in (("x.csv", b"a,b"), ("x.tsv", b"a\tb")):
        for usual in ",\t":
            found = read(tmp_path / name, content, usual_delimiter=usual)
            assert found == [["a", "b"]]
    assert read(tmp_path / "x", b"a;b", usual_delimiter=";") == [["a", "b"]]


@pytest.mark.parametrize(
    "encoding",
    ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32", "cp1252"],
)
def test_encodings(path, encoding):
    rows = [["né", "ü"], ["Ā" if encoding != "cp1252" else "â", "two\nlines"]]
    text = '{},{}\r\n{},"{}"\r\n'.format(*rows[0], *rows[1])
    assert read(path, text.encode(encoding), encoding=encoding) == rows


def test_a_byte_order_mark_is_left_out(path):
    for encoding, mark in (
        ("utf-8", codecs.BOM_UTF8),
        ("utf-16-le", codecs.BOM_UTF16_LE),
        ("utf-16", codecs.BOM_UTF16_LE),
    ):
        little = encoding.replace("16", "16-le").replace("-le-le", "-le")
        content = mark + "a,b\n".encode(little)
        assert read(path, content, encoding=encoding) == [["a", "b"]]


def test_what_is_not_of_the_encoding_is_named(path):
    with pytest.raises(
        datasets.DataError,
        match=r"some\.csv, line 2: not valid UTF-8 \(byte 3 .*--data\.encoding",
    ):
        read(path, b"a,b\na,\xe9\n")
    with pytest.raises(datasets.DataError, match=r"line 2: not valid ASCII"):
        read(path, b"a,b\na,\xe9\n", encoding="ascii")
    cut = "a,b\na,b\nc".encode("utf-16-le")[:-1]
    with pytest.raises(datasets.DataError, match=r"line 3: not valid UTF-16"):
        read(path, cut, encoding="utf-16-le")


@pytest.mark.parametrize(
    "options",
    [
        {"delimiter": ""},
        {"delimiter": ", "},
        {"delimiter": '"'},
        {"delimiter": "\n"},
        {"encoding": "no such"},
        {"encoding": "base64"},
        {"empty": "keep"},
        {"quoting": "all"},
    ],
)
def test_bad_formats(options):
    ((name, _),) = options.items()
    with pytest.raises(ValueError, match=f"Received: {name}="):
        Format(header=False, **options)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_line_that_fills_the_memory(path, monkeypatch, encoding):
    monkeypatch.setattr(_separated, "_LONGEST_LINE", 1_000)
    content = f"a,b\nc,{'x' * 999}".encode(encoding)
    with pytest.raises(datasets.DataError, match=r"line 2: .* 1,000 bytes"):
        read(path, content, encoding=encoding)


def test_more_comes_out_of_a_packed_file_than_is_read(path, monkeypatch):
    monkeypatch.setattr(_separated, "_MOST_UNPACKED", 1_000)
    content = b"a,b\n" * 251
    assert len(read(path, content)) == 251
    packed = path.with_name("some.csv.gz")
    with pytest.raises(datasets.DataError, match="1,000 bytes come out of"):
        read(packed, gzip.compress(content))


@pytest.mark.parametrize("encoding", ["idna", "punycode", "unicode_escape"])
def test_codecs_that_are_no_encodings_of_files(encoding):
    with pytest.raises(ValueError, match=f"encoding='{encoding}'"):
        Format(header=False, encoding=encoding)

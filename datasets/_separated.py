"""Files of separated columns."""

import codecs
import csv
import dataclasses
import gzip
import io
import pathlib
import zlib

from datasets._errors import DataError
from datasets._pairs import decode_lines
from datasets._paths import user_path

_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_QUOTING = {"minimal": csv.QUOTE_MINIMAL, "none": csv.QUOTE_NONE}
_ADVICE = (
    "where quotes are characters as any other, the option `quoting` says so, "
    "as --data.quoting none"
)
# Hard to type in a shell.
_NAMED_DELIMITERS = {"\\t": "\t", "tab": "\t"}

# Characters of a column. The csv module has one limit for all its readers,
# which is 131,072 unless somebody sets it; it is raised here, once.
LONGEST_COLUMN = 16 * 2**20
csv.field_size_limit(max(LONGEST_COLUMN, csv.field_size_limit()))
# Bytes of a line, and of all that comes out of a packed file.
_LONGEST_LINE = 2**28
_MOST_UNPACKED = 2**31

# Codecs of Python that are for other things than files of text.
_NOT_FOR_FILES = {
    "idna",
    "punycode",
    "raw-unicode-escape",
    "undefined",
    "unicode-escape",
}


@dataclasses.dataclass(frozen=True)
class Format:
    """How a file of separated columns is written.

    Attributes:
        header: Whether the first row names the columns.
        delimiter: The character that separates them; None is a comma in a
            file whose name ends with `.csv`, a tab with `.tsv` (packed or
            not), `usual_delimiter` otherwise.
        encoding: Of the text, as Python names it. A byte order mark is left
            out.
        empty: What is done with a row in which a column that is read is
            empty: `"error"`, or `"skip"` to leave it out and count it.
        quoting: `"minimal"`: a column that begins with a double quote ends
            with the next one, and a quote inside it is written twice;
            `"none"`: a quote is a character as any other.
        usual_delimiter: See `delimiter`.

    Raises:
        ValueError: An attribute is none of these.
    """

    header: bool
    delimiter: str | None = None
    encoding: str = "utf-8"
    empty: str = "error"
    quoting: str = "minimal"
    usual_delimiter: str = ","

    def __post_init__(self):
        delimiter = self.delimiter_of(pathlib.Path())
        if len(delimiter) != 1 or delimiter in '"\r\n':
            raise ValueError(
                "A delimiter is one character, no quote and no line end. "
                f"Received: delimiter={self.delimiter!r}"
            )
        try:
            if codecs.lookup(self.encoding).name in _NOT_FOR_FILES:
                raise ValueError
            "\n".encode(self.encoding)
        except (LookupError, ValueError) as error:
            raise ValueError(
                "An encoding is one that Python knows, as utf-8, cp1252 or "
                f"utf-16. Received: encoding={self.encoding!r}"
            ) from error
        if self.empty not in ("error", "skip"):
            raise ValueError(
                f"`empty` is one of error, skip. Received: empty={self.empty!r}"
            )
        if self.quoting not in _QUOTING:
            raise ValueError(
                f"`quoting` is one of {', '.join(_QUOTING)}. "
                f"Received: quoting={self.quoting!r}"
            )

    def delimiter_of(self, path):
        """The character that separates the columns of a file."""
        if self.delimiter is not None:
            return _NAMED_DELIMITERS.get(self.delimiter, self.delimiter)
        suffix = pathlib.Path(path.name.lower().removesuffix(".gz")).suffix
        return _DELIMITERS.get(suffix, self.usual_delimiter)


def read_columns(path, columns, form, notes):
    """Reads some columns of a file.

    A column that contains the delimiter, a quote or a line end is written in
    double quotes, a quote inside it twice, unless the format says that there
    is no quoting. The file may be packed (`.gz`).
    Blank lines are passed over.

    Args:
        path: The file.
        columns: For each column its number, from 0, or its name.
        form: The `Format` of the file.
        notes: List to which a sentence is added if rows were left out.

    Returns:
        List of `(line, texts)`: the number of the first line of a row, and
        the text of each column, not empty.

    Raises:
        DataError: The file cannot be read, with the line; or it has no rows.
    """
    path = user_path(path)
    read, num_skipped, long_rows = [], 0, []
    try:
        rows = _rows(path, form)
        _, names = next(rows, (1, [])) if form.header else (1, None)
        numbers = [_column_number(path, column, names) for column in columns]
        for line, row in rows:
            if any("\n" in text for text in row):
                long_rows.append(line)
            texts = _texts(path, line, row, numbers, form.empty)
            if all(text.strip() for text in texts):
                read.append((line, texts))
            else:
                num_skipped += 1
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"The file cannot be read: {error}. Received: path={str(path)!r}"
        ) from error
    if long_rows:
        notes.append(
            f"{path}: {len(long_rows):,} rows go on in the next line, the "
            f"first in line {long_rows[0]}, as their quotes say; {_ADVICE}."
        )
    if num_skipped:
        notes.append(
            f"{path}: {num_skipped:,} rows with an empty column are left out."
        )
    if not read:
        raise DataError(
            "The file has no rows, besides those left out. "
            f"Received: path={str(path)!r}, {num_skipped:,} left out"
        )
    return read


def _rows(path, form):
    """Yields the number of the first line of each row, and its columns."""
    packed = path.name.lower().endswith(".gz")
    with gzip.open(path) if packed else open(path, "rb") as file:
        reader = csv.reader(
            _texts_of_lines(_lines(file, path, packed), path, form),
            delimiter=form.delimiter_of(path),
            quoting=_QUOTING[form.quoting],
            strict=True,
        )
        while True:
            line = reader.line_num + 1
            try:
                row = next(reader, None)
            except csv.Error as error:
                raise DataError(
                    f"{path}, line {line}: {_reason(error)}. "
                    f"Received: a row that goes to line {reader.line_num}"
                ) from error
            if row is None:
                return
            if row:
                yield line, row


def _lines(file, path, packed):
    """Yields the lines of a file, bytes, of bounded size."""
    size, number = 0, 0
    while line := file.readline(_LONGEST_LINE + 1):
        size, number = size + len(line), number + 1
        if len(line) > _LONGEST_LINE:
            raise DataError(
                f"{path}, line {number}: it has more than {_LONGEST_LINE:,} "
                "bytes, the most that is read."
            )
        if packed and size > _MOST_UNPACKED:
            raise DataError(
                f"{path}: more than {_MOST_UNPACKED:,} bytes come out of this "
                "packed file. If they are meant, unpack it before."
            )
        yield line


def _texts_of_lines(lines, path, form):
    encoding = form.encoding
    if "\n".encode(encoding) != b"\n":
        # A line end is not the byte that files are cut into lines by.
        lines = io.BytesIO(_decode(b"".join(lines), path, encoding).encode())
        encoding = "utf-8"
    advice = (
        "; the option `encoding` names another one, as --data.encoding cp1252 "
        "or utf-16"
    )
    for number, line in enumerate(decode_lines(lines, path, encoding, advice)):
        if form.quoting == "none":
            line = line.replace("\r", " ")
        # A quoted column may go on in the next line.
        yield (line if number else line.removeprefix("\ufeff")) + "\n"


def _decode(content, path, encoding):
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        before = content[: error.start].decode(encoding, "replace")
        line = before.count("\n") + 1
        raise DataError(
            f"{path}, line {line}: not valid "
            f"{encoding.upper()} ({error.reason}). Received: "
            f"{content[error.start : error.start + 8]!r}"
        ) from error


def _reason(error):
    # A quote left open takes in all the rest of the file.
    if "end of data" in str(error):
        return "a quote is opened in this row and never closed; " + _ADVICE
    if "new-line character" in str(error):
        return (
            "a carriage return stands inside the line, as it may in a quoted "
            "column only"
        )
    if "field limit" in str(error):
        return (
            f"a column has more than {LONGEST_COLUMN:,} characters, the most "
            "that is read, unless a quote in this row is opened and never "
            "closed"
        )
    return (
        f"{error} (a quote inside a quoted column is written twice); {_ADVICE}"
    )


def _column_number(path, column, names):
    """Returns the number of a column that is given by number or name."""
    if names and str(column) in names:
        return names.index(str(column))
    if str(column).isdecimal() and len(str(column)) < 10:
        return int(column)
    known = ", ".join(map(repr, names)) if names else "none, without a header"
    raise DataError(
        f"{path}, line 1: there is no such column. Columns are given by "
        f"number, from 0, or by name ({known}). Received: column={column!r}"
    )


def _texts(path, line, row, columns, empty):
    for column in columns:
        if column >= len(row):
            raise DataError(
                f"{path}, line {line}: column {column} is missing (columns "
                f"are counted from 0). Received: {len(row)} columns"
            )
        if empty == "error" and not row[column].strip():
            raise DataError(
                f"{path}, line {line}: column {column} is empty. The option "
                "`empty` leaves such rows out, as --data.empty skip. "
                f"Received: {row!r:.80}"
            )
    return [row[column] for column in columns]

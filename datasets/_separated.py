"""Files of separated columns."""

import csv
import gzip
import pathlib
import zlib

from datasets._errors import DataError
from datasets._pairs import decode_lines

_DELIMITERS = {".csv": ",", ".tsv": "\t"}


def read_columns(path, columns, header, delimiter):
    """Reads some columns of a file.

    A column that contains the delimiter, a quote or a line end is written in
    double quotes, a quote inside it twice. The text is UTF-8, with or without
    a byte order mark; the file may be packed (`.gz`). Blank lines are passed
    over.

    Args:
        path: The file.
        columns: For each column its number, from 0, or its name.
        header: Whether the first row names the columns.
        delimiter: What separates them in a file whose name ends neither with
            `.csv` nor with `.tsv`.

    Returns:
        List of `(line, texts)`: the number of the first line of a row, and
        the text of each column, not empty.

    Raises:
        DataError: The file cannot be read, with the line; or it has no rows.
    """
    path = pathlib.Path(path).expanduser()
    suffix = pathlib.Path(path.name.lower().removesuffix(".gz")).suffix
    try:
        rows = _rows(path, _DELIMITERS.get(suffix, delimiter))
        _, names = next(rows, (1, [])) if header else (1, None)
        numbers = [_column_number(path, column, names) for column in columns]
        read = [(line, _texts(path, line, row, numbers)) for line, row in rows]
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"The file cannot be read: {error}. Received: path={str(path)!r}"
        ) from error
    if not read:
        raise DataError(f"The file has no rows. Received: path={str(path)!r}")
    return read


def _rows(path, delimiter):
    """Yields the number of the first line of each row, and its columns."""
    packed = path.name.lower().endswith(".gz")
    with gzip.open(path) if packed else open(path, "rb") as file:
        reader = csv.reader(_text(file, path), delimiter=delimiter, strict=True)
        while True:
            line = reader.line_num + 1
            try:
                row = next(reader, None)
            except csv.Error as error:
                raise DataError(
                    f"{path}, line {line}: {_quote_error(error)}. "
                    f"Received: a row that goes to line {reader.line_num}"
                ) from error
            if row is None:
                return
            if row:
                yield line, row


def _text(file, path):
    for number, line in enumerate(decode_lines(file, path)):
        # A quoted column may go on in the next line.
        yield (line if number else line.removeprefix("\ufeff")) + "\n"


def _quote_error(error):
    # A quote left open takes in all the rest of the file, up to its end or
    # to the limit of the csv module.
    if "end of data" in str(error) or "field limit" in str(error):
        return "a quote is opened in this row and never closed"
    return f"{error} (a quote inside a quoted column is written twice)"


def _column_number(path, column, names):
    """Returns the number of a column that is given by number or name."""
    if names and str(column) in names:
        return names.index(str(column))
    if str(column).isdecimal():
        return int(column)
    known = ", ".join(map(repr, names)) if names else "none, without a header"
    raise DataError(
        f"{path}, line 1: there is no such column. Columns are given by "
        f"number, from 0, or by name ({known}). Received: column={column!r}"
    )


def _texts(path, line, row, columns):
    texts = []
    for column in columns:
        if column >= len(row):
            raise DataError(
                f"{path}, line {line}: column {column} is missing (columns "
                f"are counted from 0). Received: {len(row)} columns"
            )
        if not row[column].strip():
            raise DataError(
                f"{path}, line {line}: column {column} is empty. "
                f"Received: {row!r:.80}"
            )
        texts.append(row[column])
    return texts

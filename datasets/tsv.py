"""A user's own pairs of sentences, from a file of separated columns."""

import csv
import gzip
import pathlib
import zlib

from datasets._errors import DataError
from datasets._pairs import decode_lines
from datasets._pairs import fold
from datasets._pairs import pairs_dataset
from datasets._pairs import split_by_source
from datasets._registry import LoadedDataset
from datasets._registry import register


@register("tsv:PATH")
def tsv(
    path: str,
    source_column: int | str = 0,
    target_column: int | str = 1,
    header: bool = False,
    validation_path: str | None = None,
    test_path: str | None = None,
    validation_fraction: float = 0.1,
    test_fraction: float = 0.1,
    seed: int = 0,
    source_language: str = "",
    target_language: str = "",
):
    """Loads pairs of sentences from a file, one pair a row.

    Columns are separated by tabs, in a file whose name ends with `.csv` by
    commas. A column that contains a tab, a comma, a quote or a line end is
    written in double quotes, a quote inside it twice. The text is UTF-8, with
    or without a byte order mark; the file may be packed (`.gz`). Blank lines
    are passed over.

    Args:
        path: The file.
        source_column: Number of the column of the source, from 0, or its
            name if there is a header.
        target_column: The same for the target.
        header: Whether the first row names the columns.
        validation_path: File of the pairs for validation, of the same form.
            Without it, a part of `path` is held out.
        test_path: File of the pairs for the test, likewise.
        validation_fraction: Share of the different sources of `path` that is
            held out for validation if there is no `validation_path`.
        test_fraction: Share that is held out for the test, likewise.
        seed: Seed of the shuffle by which pairs are held out.
        source_language: BCP-47 tag.
        target_language: BCP-47 tag.

    Returns:
        A `LoadedDataset`. No source of one split of `path` is in another;
        whether files given for validation and test repeat sources of `path`
        is left to the user.

    Raises:
        DataError: A file cannot be read, with the line; or there are too few
            pairs.
    """
    paths = {"train": path, "validation": validation_path, "test": test_path}
    pairs = {
        split: _read(file, source_column, target_column, header)
        for split, file in paths.items()
        if file is not None
    }
    num_sources = len({fold(source) for source, _ in pairs["train"]})
    held_out = {
        "validation": _share(
            "validation_fraction", validation_fraction, num_sources
        ),
        "test": _share("test_fraction", test_fraction, num_sources),
    }
    for split in pairs.keys() & held_out.keys():
        held_out[split] = 0
    try:
        splits = split_by_source(
            pairs["train"], held_out["validation"], held_out["test"], seed
        )
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    for split in pairs.keys() - {"train"}:
        splits[split] = pairs[split]
    return LoadedDataset(
        name=f"tsv:{path}",
        task="translation",
        description=f"Pairs of sentences from {pathlib.Path(path).name}.",
        source_language=source_language,
        target_language=target_language,
        licence="",
        url="",
        citation="",
        splits={name: pairs_dataset(pairs) for name, pairs in splits.items()},
    )


def _share(name, fraction, number):
    if not 0 < fraction < 1:
        raise ValueError(
            f"A fraction is between 0 and 1. Received: {name}={fraction}"
        )
    return max(1, round(fraction * number))


def _read(path, source_column, target_column, header):
    """Returns the list of the `(source, target)` of a file."""
    path = pathlib.Path(path).expanduser()
    try:
        rows = _rows(path)
        _, names = next(rows, (1, [])) if header else (1, None)
        columns = [
            _column_number(path, column, names)
            for column in (source_column, target_column)
        ]
        pairs = [_pair(path, line, row, columns) for line, row in rows]
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"The file cannot be read: {error}. Received: path={str(path)!r}"
        ) from error
    if not pairs:
        raise DataError(f"The file has no pairs. Received: path={str(path)!r}")
    return pairs


def _rows(path):
    """Yields the number of the first line of each row, and its columns."""
    name = path.name.lower()
    delimiter = "," if name.removesuffix(".gz").endswith(".csv") else "\t"
    with gzip.open(path) if name.endswith(".gz") else open(path, "rb") as file:
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


def _pair(path, line, row, columns):
    sides = []
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
        sides.append(row[column])
    return tuple(sides)

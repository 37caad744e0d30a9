"""A user's own pairs of sentences, from a file of separated columns."""

import collections
import pathlib
from typing import Literal

from datasets._errors import DataError
from datasets._pairs import fold
from datasets._pairs import pairs_dataset
from datasets._registry import LoadedDataset
from datasets._registry import register
from datasets._separated import Format
from datasets._separated import read_columns
from datasets._splits import check_fractions
from datasets._splits import split_by_place


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
    delimiter: str | None = None,
    encoding: str = "utf-8",
    empty: Literal["error", "skip"] = "error",
    quoting: Literal["minimal", "none"] = "minimal",
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
        validation_fraction: About the share of the different sources of
            `path` that is held out for validation if there is no
            `validation_path`.
        test_fraction: About the share that is held out for the test, likewise.
        seed: Seed by which pairs are held out.
        delimiter: Character that separates the columns, in place of the one
            by the name of the file; `tab` or `\\t` is a tab.
        encoding: Of the text, as Python names it: `cp1252`, `utf-16`.
        empty: What is done with a row without source or target: `"error"`, or
            `"skip"` to leave it out; the notes say how many were.
        quoting: `"minimal"`, as above, or `"none"`: a quote is a character
            as any other.
        source_language: BCP-47 tag.
        target_language: BCP-47 tag.

    Returns:
        A `LoadedDataset`. The split of a pair depends on its source and the
        seed alone, so it stays where it is when others are added. No source
        of one split of `path` is in another; whether files given for
        validation and test repeat sources of `path` is left to the user.

    Raises:
        DataError: A file cannot be read, with the line; or there are too few
            pairs.
    """
    paths = {"train": path, "validation": validation_path, "test": test_path}
    columns = (source_column, target_column)
    form = Format(
        header, delimiter, encoding, empty, quoting, usual_delimiter="\t"
    )
    notes = []
    pairs = {
        split: [
            tuple(texts)
            for _, texts in read_columns(file, columns, form, notes)
        ]
        for split, file in paths.items()
        if file is not None
    }
    fractions = {"test": test_fraction, "validation": validation_fraction}
    fractions = {k: v for k, v in fractions.items() if k not in pairs}
    try:
        splits = _split(pairs["train"], fractions, seed)
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
        notes=tuple(notes),
        splits={name: pairs_dataset(pairs) for name, pairs in splits.items()},
    )


def _split(pairs, fractions, seed):
    """Returns `{split: pairs}`, all pairs of one source in the same."""
    check_fractions(fractions)
    of_source = collections.defaultdict(list)
    for pair in pairs:
        of_source[fold(pair[0])].append(pair)
    return {
        split: [pair for source in sources for pair in of_source[source]]
        for split, sources in split_by_place(of_source, fractions, seed).items()
    }

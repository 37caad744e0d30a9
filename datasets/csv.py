"""A user's own texts with classes, from a file of separated columns."""

import pathlib
from typing import Literal

from datasets._classes import in_natural_order
from datasets._classes import note_on_too_few
from datasets._classes import split_by_class
from datasets._classes import texts_dataset
from datasets._errors import DataError
from datasets._pairs import fold
from datasets._registry import LoadedDataset
from datasets._registry import register
from datasets._separated import Format
from datasets._separated import read_columns


@register("csv:PATH")
def csv(
    path: str,
    text_column: int | str = "text",
    label_column: int | str = "label",
    header: bool = True,
    validation_path: str | None = None,
    test_path: str | None = None,
    validation_fraction: float = 0.1,
    test_fraction: float = 0.1,
    seed: int = 0,
    delimiter: str | None = None,
    encoding: str = "utf-8",
    empty: Literal["error", "skip"] = "error",
    quoting: Literal["minimal", "none"] = "minimal",
):
    """Loads texts with a class each from a file, one text a row.

    Columns are separated by commas, in a file whose name ends with `.tsv` by
    tabs. A column that contains the delimiter, a quote or a line end is
    written in double quotes, a quote inside it twice. The text is UTF-8, with
    or without a byte order mark; the file may be packed (`.gz`). Blank lines
    are passed over. A column has at most 16,777,216 characters. Any text can
    be the name of a class.

    Args:
        path: The file.
        text_column: Name of the column of the text, or its number, from 0.
        label_column: The same for the class.
        header: Whether the first row names the columns. Without it columns
            are given by number.
        validation_path: File of the texts for validation, of the same form.
            Without it, a part of `path` is held out.
        test_path: File of the texts for the test, likewise.
        validation_fraction: About the share of the different texts of each
            class of `path` that is held out for validation if there is no
            `validation_path`.
        test_fraction: About the share that is held out for the test, likewise.
        seed: Seed by which texts are held out.
        delimiter: Character that separates the columns, in place of the one
            by the name of the file; `tab` or `\\t` is a tab.
        encoding: Of the text, as Python names it: `cp1252`, `utf-16`.
        empty: What is done with a row without text or class: `"error"`, or
            `"skip"` to leave it out; the notes say how many were.
        quoting: `"minimal"`, as above, or `"none"`: a quote is a character
            as any other.

    Returns:
        A `LoadedDataset`. The classes are those of `path`. The split of a
        text depends on it and the seed alone, so it stays where it is when
        others are added (but each class of 3 different texts or more has one
        at least in each split). No text of one split of `path` is in another
        (compared after NFKC and folding of blanks); whether files given for
        validation and test repeat texts of `path` is left to the user.

    Raises:
        DataError: A file cannot be read, with the line; there are fewer than
            two classes or too few texts; or a file for validation or test
            has a class that `path` lacks.
    """
    columns = (text_column, label_column)
    form = Format(header, delimiter, encoding, empty, quoting)
    own = {"validation": validation_path, "test": test_path}
    fractions = {"test": test_fraction, "validation": validation_fraction}
    notes = []
    rows = _read(path, columns, form, notes)
    names = in_natural_order(label for _, _, label in rows)
    if len(names) < 2:
        raise DataError(
            f"{path}: at least two classes are needed. "
            f"Received: classes={names}"
        )
    ids = {name: number for number, name in enumerate(names)}
    chosen, too_few = split_by_class(
        [label for _, _, label in rows],
        [fold(text) for _, text, _ in rows],
        {name: x for name, x in fractions.items() if own[name] is None},
        seed,
    )
    splits = {
        split: [rows[number] for number in numbers]
        for split, numbers in chosen.items()
    }
    for split, file in own.items():
        if file is not None:
            splits[split] = _read(file, columns, form, notes, known=ids)
    return LoadedDataset(
        name=f"csv:{path}",
        task="text_classification",
        description=f"Texts with classes from {pathlib.Path(path).name}.",
        class_names=tuple(names),
        notes=(*notes, *note_on_too_few(too_few)),
        splits={
            split: texts_dataset(
                [text for _, text, _ in splits[split]],
                [ids[label] for _, _, label in splits[split]],
            )
            for split in ("train", "validation", "test")
        },
    )


def _read(path, columns, form, notes, known=None):
    """Returns the list of the `(line, text, label)` of a file; adds to the
    notes."""
    rows = [
        (line, text, label.strip())
        for line, (text, label) in read_columns(path, columns, form, notes)
    ]
    for line, _, label in rows:
        if known is not None and label not in known:
            raise DataError(
                f"{path}, line {line}: nothing of this class is there to "
                f"train on. Known: {', '.join(map(repr, known))}. "
                f"Received: label={label!r}"
            )
    return rows

"""The files in which answers are kept, a row for each."""

import csv

from training.resume import write_atomically

TRANSLATION_COLUMNS = ("source", "translation", "log_probability")


def write_tsv(path, names, rows):
    """Write a file of columns with tabs between them, whole or not at all.

    Args:
        path: Of the file.
        names: Of the columns, its first line.
        rows: Iterable of rows. Texts with tabs, quotes or line ends are
            quoted.
    """

    def write(path):
        with open(
            path, "w", encoding="utf-8", errors="replace", newline=""
        ) as file:
            writer = csv.writer(file, delimiter="\t", lineterminator="\n")
            writer.writerow(names)
            writer.writerows(rows)

    write_atomically(path, write)

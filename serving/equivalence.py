"""Whether exported models give the same answers wherever they run.

    python -m serving.equivalence [MODEL ...] [--run RUN] [--python PYTHON]

About 200 inputs of a model's own data and some odd ones go, one by one, to the
model as it was fitted (`--run`), else to the SavedModel. The answers of every
signature are what is expected of the SavedModel here, one by one, in batches,
and in batches that are filled up with copies of a row, as a server does; in a
session where nothing of this project is found, also of another TensorFlow
(`--python`); and through TensorFlow's C API, without its Python.

Texts, tokens, labels and pixels must be the same, probabilities and attention
to 1e-5, log-probabilities to 1e-4 of their size. The exit status is 0 if they
are, 1 if not, 2 if a model can't be asked, or after a wrong command.
"""

import argparse
import pathlib
import sys

import numpy as np
import tensorflow as tf

from datasets import DataError
from serving import prediction
from serving.comparison import Comparison
from serving.contract import served_signatures
from serving.contract import signature_problems
from serving.export import is_export_of
from serving.load import load
from serving.row_differences import TEXTS
from serving.row_differences import TOLERANCES
from serving.runtimes import NoAnswerError
from serving.saved_model_files import read_meta_graph
from serving.saved_model_files import SavedModelError
from serving.trial_rows import as_rows
from serving.trial_rows import data_rows
from serving.trial_rows import odd_rows
from serving.trial_rows import takes_pictures
from training.configuration import ConfigurationError
from training.printable import printable
from training.run import Run

_WRONG = (ConfigurationError, DataError, SavedModelError)
_HEADER = ("model", "runtime", "rows", *TOLERANCES, "")


def find_models(folders):
    """The SavedModels that are folders, or lie in them.

    Raises:
        ConfigurationError: If there is none in one of them.
    """
    paths = []
    for folder in map(pathlib.Path, folders):
        found = sorted(
            file.parent
            for file in folder.rglob("saved_model.pb")
            # A version that is being written has a hidden name.
            if not file.parent.name.startswith(".")
        )
        if not found:
            raise ConfigurationError(f"There is no SavedModel in {folder}.")
        paths += found
    return paths


def rows_of(path, count, inputs=()):
    """The rows to ask a model, and how many of them are odd.

    Args:
        path: Folder of the SavedModel.
        count: How many of its data.
        inputs: Texts, files or folders, as for `train.py predict`, to take
            instead of its data.

    Raises:
        ConfigurationError: If it is no model of the zoo, or of no known data.
        DataError: If inputs can't be read.
    """
    signatures = served_signatures(read_meta_graph(path))
    for problem in signature_problems(signatures):
        raise ConfigurationError(f"{path}: {problem}")
    are_pictures = takes_pictures(path)
    if inputs:
        sources = prediction.sources_of(load(path), inputs)[:count]
        if not sources:
            raise ConfigurationError(
                f"There is nothing in the inputs. Received: {list(inputs)}"
            )
        rows = as_rows(sources, are_pictures)
    else:
        rows = data_rows(path, count)
    odd = odd_rows(rows, are_pictures)
    return np.concatenate([rows, odd]), len(odd)


def check_model(path, runs, options):
    """Compare one model in all ways.

    Args:
        path: Folder of the SavedModel.
        runs: Instances of `training.run.Run`, of which one may be its own.
        options: The arguments of the command.

    Yields:
        A row of the table, and what is wrong, or "".
    """
    run = next((run for run in runs if is_export_of(path, run)), None)
    rows, num_odd = rows_of(path, options.rows, options.inputs)
    comparison = Comparison(path, rows, num_odd, run)
    model = f"{path.parent.name}/{path.name}"
    for name, batching, runtime, batches in comparison.ways(options.python):
        print(f"{model}: {name}, {batching}", file=sys.stderr)
        try:
            version, differences = comparison.compare(runtime, batches)
        except NoAnswerError as error:
            blank = [""] * (len(_HEADER) - 3)
            yield [model, name, *blank, "FAIL"], f"{model}, {name}: {error}"
            continue
        where = f"{name} {version}, {batching}"
        wrong = differences.first and (
            f"{model}, {where}: {differences.num_different} of "
            f"{differences.num_rows} rows differ; {differences.first}"
        )
        cells = _cells(differences.largest)
        verdict = "FAIL" if wrong else "ok"
        yield [model, where, differences.num_rows, *cells, verdict], wrong


def _cells(largest):
    """Cells of a table for the differences of each kind."""
    for kind in TOLERANCES:
        if kind not in largest:
            yield ""
        elif kind == TEXTS:
            yield "differ" if largest[kind] else "same"
        else:
            yield f"{largest[kind]:.0e}"


def _arguments(arguments):
    parser = argparse.ArgumentParser(
        prog="python -m serving.equivalence",
        description=__doc__.splitlines()[0],
    )
    add = parser.add_argument
    add(
        "saved_model",
        nargs="*",
        default=["saved_models"],
        help="A SavedModel, or a folder in which some lie (saved_models).",
    )
    add(
        "--run",
        action="append",
        default=[],
        type=pathlib.Path,
        help="A run that one of them was exported from; may be repeated.",
    )
    add(
        "--python",
        action="append",
        default=[],
        help="A Python with another TensorFlow; may be repeated.",
    )
    add("--rows", type=int, default=200, help="How many of its data (200).")
    add(
        "--inputs",
        nargs="+",
        default=(),
        help="Texts, a text file, pictures or a folder of them, instead of "
        "the data that the model card names.",
    )
    options = parser.parse_args(arguments)
    if options.rows < 1:
        parser.error(f"--rows must be at least 1. Received: {options.rows}")
    return options


def main(arguments=None):
    """Run the command; gives the exit status."""
    options = _arguments(arguments)
    try:
        paths = find_models(options.saved_model)
        runs = [Run.find(run) for run in options.run]
        for run in runs:
            if not any(is_export_of(path, run) for path in paths):
                raise ConfigurationError(
                    f"None of the models is of the run {run.directory}."
                )
        compared = [
            pair for path in paths for pair in check_model(path, runs, options)
        ]
    except (*_WRONG, OSError, NoAnswerError, tf.errors.OpError) as error:
        print(f"serving.equivalence: {error}", file=sys.stderr)
        return 2
    lines = [_HEADER, ["---"] * len(_HEADER), *(row for row, _ in compared)]
    for line in lines:
        print(printable(f"| {' | '.join(map(str, line))} |"))
    wrong = [message for _, message in compared if message]
    for message in wrong:
        print(printable(f"FAIL {message}"))
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())

"""What of a run may leave the house: nothing of a user's own data."""

import pathlib
import shlex


def is_own_data(name):
    """Whether a data set is a user's own: `csv:PATH`, `images:DIR`, ..."""
    return ":" in name


def public_data(data):
    """What a card says of the data of a run, its `metrics["data"]`."""
    if not is_own_data(data["name"]):
        return data
    # Notes name single files.
    shown = {name: value for name, value in data.items() if name != "notes"}
    return without_folders(shown)


def public_test_runs(run):
    """The evaluations on test data, of own data without the examples."""
    if not is_own_data(run.metrics["data"]["name"]):
        return run.test_runs
    return [
        {
            name: value
            for name, value in scores.items()
            if name != "most_confident_errors"
        }
        for scores in run.test_runs
    ]


def without_folders(value):
    """A configuration in which each path is its last part only.

    `csv:/home/me/reviews.csv` becomes `csv:reviews.csv`. Addresses, which
    hold `://`, stay as they are.
    """
    if isinstance(value, dict):
        return {name: without_folders(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [without_folders(each) for each in value]
    if not isinstance(value, str) or "/" not in value or "://" in value:
        return value
    kind, colon, path = value.partition(":")
    if colon and "/" not in kind:
        return f"{kind}:{pathlib.PurePath(path).name}"
    return pathlib.PurePath(value).name


def command_without_folders(command):
    """A command line in which each path is its last part only."""
    shown = []
    for argument in shlex.split(command):
        option, equals, value = argument.partition("=")
        if equals and option.startswith("--"):
            shown.append(f"{option}={without_folders(value)}")
        else:
            shown.append(without_folders(argument))
    return shlex.join(shown)

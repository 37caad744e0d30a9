"""The file in a preprocessor's folder that says what it is."""

import json
import pathlib

_NAME = "config.json"


def write_configuration(directory, configuration):
    """Write a dictionary into a folder, which is then whole.

    It is the last of the preprocessor's files to be written, and appears at
    once.
    """
    directory = pathlib.Path(directory)
    temporary = directory / f".{_NAME}"
    text = json.dumps(configuration, indent=2, ensure_ascii=False)
    temporary.write_text(text + "\n", encoding="utf-8")
    temporary.replace(directory / _NAME)


def read_configuration(directory, task=None):
    """Read what `write_configuration` wrote.

    Args:
        directory: The folder.
        task: What its entry `task` must be, if not None.

    Raises:
        ValueError: The folder is that of another task.
    """
    path = pathlib.Path(directory) / _NAME
    configuration = json.loads(path.read_text("utf-8"))
    if task is not None and configuration["task"] != task:
        raise ValueError(
            f"{path} must be of a preprocessor for {task}. "
            f"Received: task={configuration['task']!r}"
        )
    return configuration

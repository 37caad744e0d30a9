"""A run that was stopped at any moment goes on at its last saved step."""

import json
import os
import pathlib
import re
import shutil
import sys

import tensorflow as tf

from training.configuration import ConfigurationError

_KEPT = 2
_NAME = re.compile(r"state-(\d{4,})-(\d{8,})\.index")


# What reading a damaged state raises, or one of another model.
_DAMAGE = (
    tf.errors.OpError,
    AssertionError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)


class TrainingState:
    """Everything that must survive a kill.

    Weights, the state of dropout's seeds, the optimizer with its moving
    averages and step count, the sums behind the metrics of the epoch that is
    under way, and the history of scores. Keras' `BackupAndRestore` leaves out
    the seeds, and goes on at epochs alone.

    A state is two files, `state-<epochs>-<steps>.data-...` and, written last,
    `state-<epochs>-<steps>.index`, by what is finished; the last two states
    are kept. One that can't be read is passed over for the one before it.

    Args:
        directory: Folder of the states.
        model: The compiled and built Keras model.
        writes: Whether this process writes the states; of several that fit
            together only one does.

    Attributes:
        variables: TensorFlow's variables of model and optimizer.
        history: The scores of each finished epoch.
        step: Number of finished steps of the epoch that is under way.
        seconds: How long they took.
    """

    def __init__(self, directory, model, writes=True):
        self.writes = writes
        self.directory = pathlib.Path(directory)
        self.history, self.step, self.seconds = [], 0, 0.0
        self._place = tf.Variable("{}", dtype=tf.string)
        self.variables = _once([*model.variables, *model.optimizer.variables])
        self._checkpoint = tf.train.Checkpoint(
            variables=self.variables,
            metrics=_once(model.metrics_variables),
            place=self._place,
        )

    @property
    def epoch(self):
        """Number of finished epochs."""
        return len(self.history)

    def restore(self):
        """Read the newest state that can be read, if there is any.

        Raises:
            ConfigurationError: If there are states and none can be read.
        """
        if self.writes:
            forget_temporary_files(self.directory)
        damaged = []
        for path in reversed(self._paths()):
            try:
                status = self._checkpoint.read(str(path))
                status.assert_existing_objects_matched()
                place = json.loads(self._place.numpy())
                history, step = list(place["history"]), int(place["step"])
                seconds = float(place["seconds"])
            except _DAMAGE as error:
                reason = (str(error).splitlines() or [""])[0]
                damaged.append(f"{path}: {reason}")
                continue
            for line in damaged:
                print(
                    f"warning: a state of the training can't be read, the "
                    f"one before it is taken. {line}",
                    file=sys.stderr,
                )
            self.history, self.step, self.seconds = history, step, seconds
            return
        if damaged:
            raise ConfigurationError(
                "The states of this interrupted fit can't be read; without "
                f"{self.directory} it starts anew. {'; '.join(damaged)}"
            )

    def end_epoch(self, scores):
        """Write the state after an epoch with these scores."""
        self.history = [*self.history, scores]
        self.save(0, 0.0)

    def save(self, step, seconds):
        """Write the state after a step of the epoch that is under way.

        Args:
            step: How many of its steps are finished.
            seconds: How long they took.

        Raises:
            ConfigurationError: If it can't be written, as on a full disk.
        """
        self.step, self.seconds = step, seconds
        if not self.writes:
            return
        place = {"history": self.history, "step": step, "seconds": seconds}
        self._place.assign(json.dumps(place))
        path = self.directory / f"state-{self.epoch:04d}-{step:08d}"
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            self._checkpoint.write(str(path))
        except (tf.errors.OpError, OSError) as error:
            _remove(path)
            raise ConfigurationError(
                f"The state of the training can't be written to {path}: "
                f"{(str(error).splitlines() or [''])[0]}. With the same "
                "command the fit goes on after the one before it."
            ) from error
        for old in self._paths()[:-_KEPT]:
            _remove(old)
        for rest in self.directory.glob("state-*_temp"):  # of a kill
            shutil.rmtree(rest, ignore_errors=True)

    def _paths(self):
        """The states, the oldest first, without what their files end in."""
        if not self.directory.is_dir():
            return []
        names = map(_NAME.fullmatch, os.listdir(self.directory))
        found = sorted((int(n[1]), int(n[2]), n[0]) for n in names if n)
        return [
            self.directory / name.removesuffix(".index") for _, _, name in found
        ]


def _once(variables):
    """The TensorFlow variable of each, once."""
    return list({id(v): v.value for v in variables}.values())


def _remove(path):
    """Remove a state, its index first: what is left of it is none."""
    path.with_name(f"{path.name}.index").unlink(missing_ok=True)
    for part in path.parent.glob(f"{path.name}*"):
        if part.is_dir():  # of a write that did not end
            shutil.rmtree(part, ignore_errors=True)
        else:
            part.unlink(missing_ok=True)


def write_atomically(path, write):
    """Have `write(temporary path)` make a file that appears whole or not.

    Args:
        path: Where the file shall be. The temporary one lies beside it and
            has the same suffix, which some writers look at.
        write: Function of the temporary path.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        write(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def forget_temporary_files(directory):
    """Remove what writers that were killed left of `write_atomically`."""
    for path in pathlib.Path(directory).glob(".[0-9]*.*"):
        path.unlink(missing_ok=True)


def write_json(path, content):
    """Write a JSON file atomically."""
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    write_atomically(path, lambda p: p.write_text(text, encoding="utf-8"))

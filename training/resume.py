"""A run that was killed goes on where its last whole epoch ended."""

import json
import os
import pathlib

import tensorflow as tf


class TrainingState:
    """Everything that must survive a kill, saved at the end of an epoch.

    Weights, the state of dropout's seeds, the optimizer with its moving
    averages and step count, and the history of scores. Keras'
    `BackupAndRestore` leaves out the seeds.

    Args:
        directory: Folder of the checkpoints; the last two are kept.
        model: The compiled and built Keras model.
    """

    def __init__(self, directory, model):
        self._history = tf.Variable("[]", dtype=tf.string)
        variables = [*model.variables, *model.optimizer.variables]
        unique = {id(variable): variable.value for variable in variables}
        self._checkpoint = tf.train.Checkpoint(
            variables=list(unique.values()), history=self._history
        )
        self._manager = tf.train.CheckpointManager(
            self._checkpoint, str(directory), max_to_keep=2
        )
        self.history = []

    @property
    def epoch(self):
        """Number of finished epochs."""
        return len(self.history)

    def restore(self):
        """Read the newest checkpoint, if there is one."""
        newest = self._manager.latest_checkpoint
        if newest:
            status = self._checkpoint.restore(newest)
            status.assert_existing_objects_matched()
            self.history = json.loads(self._history.numpy())

    def save(self, scores):
        """Write a checkpoint after an epoch with these scores."""
        self.history = [*self.history, scores]
        self._history.assign(json.dumps(self.history))
        self._manager.save(checkpoint_number=self.epoch)


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


def write_json(path, content):
    """Write a JSON file atomically."""
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    write_atomically(path, lambda p: p.write_text(text, encoding="utf-8"))

"""A run: the folder in which everything about one fit lies."""

import json
import os
import pathlib
import shutil

import portalocker
import yaml

from preprocessing import load_preprocessor
from preprocessing.settings_file import read_json_object
from training.configuration import configuration_of
from training.configuration import ConfigurationError
from training.configuration import differences
from training.configuration import read_yaml
from training.model_file import load_keras_model
from training.resume import write_atomically
from training.resume import write_json

_LOCK_TIMEOUT = 600  # seconds


def _present_form(config):
    """A configuration with the fields that its version did not have, which
    were as they are by default."""
    try:
        return configuration_of(config).to_dict()
    except (ValueError, LookupError, TypeError):
        return config


def _any_file(directory):
    """Whether there is one in a folder, that was written to its end."""
    return any(directory.glob("[!.]*"))


class Run:
    """The folder of one fit.

        config.yaml        everything resolved; `fit --config` repeats it
        data.json          fingerprints of the splits that it is fitted on
        preprocessor/      tokenizers, labels
        pretraining/       the same as checkpoints/, of what comes before
        checkpoints/       the state of the training, and best.keras
        tensorboard/
        evaluation/        drawings of the evaluations, by split
        metrics.json       validation scores of the best epoch, and all epochs
        test_runs.jsonl    one line for each evaluation on the test split

    Args:
        directory: The folder.
    """

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.checkpoints = self.directory / "checkpoints"
        self.pretraining = self.directory / "pretraining"
        self.tensorboard = self.directory / "tensorboard"
        self.model_path = self.checkpoints / "best.keras"

    @classmethod
    def start(cls, directory, configuration):
        """Make the folder, or go on with one of the same configuration.

        A start that failed before its first epoch ended leaves nothing that
        would be worth keeping: it may be repeated with other fields.

        Raises:
            ConfigurationError: If the folder holds another configuration;
                the differences are listed.
        """
        run = cls(directory)
        new = configuration.to_dict()
        if run.config_path.exists():
            lines = differences(_present_form(run.config), new)
            if not lines:
                return run
            if run.has_learned:
                listed = "\n".join(lines)
                raise ConfigurationError(
                    f"{directory} is a run of another configuration:\n"
                    f"{listed}\n"
                    "Choose another --name, or remove that folder."
                )
            shutil.rmtree(run.directory / "preprocessor", ignore_errors=True)
        text = yaml.safe_dump(new, sort_keys=False, allow_unicode=True)
        write_atomically(
            run.config_path, lambda path: path.write_text(text, "utf-8")
        )
        return run

    @classmethod
    def join(cls, directory, configuration):
        """The run that another process has started, with which this one fits.

        Raises:
            ConfigurationError: If it is not there, or has another
                configuration.
        """
        run = cls(directory)
        if not run.config_path.exists():
            raise ConfigurationError(
                f"{directory} is not there, though the first worker has "
                "started it: all workers need one folder of runs, as on a "
                f"shared file system. Received: runs={run.directory.parent}"
            )
        lines = differences(run.config, configuration.to_dict())
        if lines:
            listed = "\n".join(lines)
            raise ConfigurationError(
                f"{directory} has the configuration of the first worker, and "
                f"this one was started with another:\n{listed}"
            )
        return run

    @classmethod
    def find(cls, directory):
        """A run that was fitted.

        Raises:
            ConfigurationError: If the folder is no run or has no model yet.
        """
        run = cls(directory)
        if not run.config_path.exists():
            raise ConfigurationError(
                f"{directory} is no run: it has no config.yaml."
            )
        if not run.model_path.exists():
            raise ConfigurationError(
                f"{directory} has no model yet: its first epoch did not end."
            )
        return run

    @property
    def name(self):
        """Name of the folder."""
        return self.directory.resolve().name

    @property
    def is_fitting(self):
        """Whether there is a state of the training, after any pretraining."""
        return _any_file(self.checkpoints)

    @property
    def has_learned(self):
        """Whether there is a state of the training or of any pretraining."""
        return self.is_fitting or _any_file(self.pretraining)

    @property
    def config_path(self):
        """Where `config.yaml` is."""
        return self.directory / "config.yaml"

    @property
    def config(self):
        """The resolved configuration, as a nested dictionary."""
        return read_yaml(self.config_path)

    @property
    def fingerprints(self):
        """Those of the splits when the fit started; empty in a run of an
        earlier version."""
        return self._read_json("data.json", ("fingerprints",)).get(
            "fingerprints", {}
        )

    def changed_splits(self, fingerprints, names):
        """Names of the splits that are no longer what they were.

        Args:
            fingerprints: Those of the splits as they are now, by name.
            names: Names of the splits that matter.
        """
        known = self.fingerprints
        return [
            name
            for name in names
            if name in known and known[name] != fingerprints[name]
        ]

    def start_with(self, fingerprints):
        """Note what the fit starts with, or see that it is still the same.

        Args:
            fingerprints: Those of the splits, by name.

        Raises:
            ConfigurationError: If the run has learned from other data.
        """
        changed = self.changed_splits(fingerprints, ("train", "validation"))
        if self.has_learned:
            if changed:
                raise ConfigurationError(
                    f"The data of {self.config['dataset']} have changed since "
                    f"{self.directory} was started, so it can't go on. Choose "
                    "another --name, remove that folder, or restore the data. "
                    f"Received: other examples in {' and '.join(changed)}"
                )
            return
        if changed:  # what was learned from them first
            shutil.rmtree(self.directory / "preprocessor", ignore_errors=True)
        write_json(self.directory / "data.json", {"fingerprints": fingerprints})

    def check_data(self, fingerprints):
        """See that the process that started the run has the same data.

        Raises:
            ConfigurationError: If it has not.
        """
        changed = self.changed_splits(fingerprints, ("train", "validation"))
        if changed:
            raise ConfigurationError(
                f"The data of {self.config['dataset']} are not those of the "
                "first worker. Received: other examples in "
                f"{' and '.join(changed)}"
            )

    def save_preprocessor(self, preprocessor):
        """Write the preprocessor, if none is there."""
        preprocessor.save(self.directory / "preprocessor")

    def load_preprocessor(self):
        """The preprocessor, or None as long as there is none."""
        directory = self.directory / "preprocessor"
        if not (directory / "config.json").exists():
            return None
        try:
            return load_preprocessor(directory)
        except ValueError as error:
            raise ConfigurationError(str(error)) from error

    def load_model(self):
        """The best model, with the averaged weights if there are any.

        Raises:
            ConfigurationError: If its file is damaged, or holds something
                else than a model of the zoo.
        """
        return load_keras_model(self.model_path)

    @property
    def metrics(self):
        """What `metrics.json` holds; empty as long as there is none.

        Raises:
            ConfigurationError: If it is damaged; so does asking for a field
                that it lacks.
        """
        return self._read_json("metrics.json", ("data", "validation"))

    def save_metrics(self, metrics):
        """Write `metrics.json`."""
        write_json(self.directory / "metrics.json", metrics)

    @property
    def chosen(self):
        """Which model was kept in the end, as `epoch 3`."""
        # Runs of earlier versions chose among epochs only.
        metrics = self.metrics
        if "chosen" in metrics:
            return str(metrics["chosen"])
        return f"epoch {metrics['best_epoch']}"

    @property
    def test_runs(self):
        """All evaluations on the test split so far."""
        path = self.directory / "test_runs.jsonl"
        if not path.exists():
            return []
        return _whole_lines(path.read_bytes())

    def drawings(self, split):
        """Folder of the drawings of the evaluations on a split."""
        return self.directory / "evaluation" / split

    def add_test_run(self, result):
        """Note an evaluation on the test split.

        Returns:
            How many there were by now, this one included.
        """
        line = json.dumps(result, ensure_ascii=False).encode() + b"\n"
        path = self.directory / "test_runs.jsonl"
        # Two evaluations may end at the same time.
        with portalocker.Lock(path, "a+b", timeout=_LOCK_TIMEOUT) as file:
            file.seek(0)
            before = file.read()
            if before and not before.endswith(b"\n"):
                line = b"\n" + line  # after what a kill left of a line
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        return len(_whole_lines(before + line))

    def _read_json(self, name, objects=()):
        """The fields of a JSON file; those in `objects` hold fields, too."""
        path = self.directory / name
        if not path.exists():
            return {}
        try:
            fields = _Fields(read_json_object(path))
        except ValueError as error:
            raise ConfigurationError(str(error)) from error
        fields.path = path
        for field in objects:
            if not isinstance(fields.get(field, {}), dict):
                raise ConfigurationError(
                    f"{path}: `{field}` must be an object. "
                    f"Received: {field}={fields[field]!r:.80}"
                )
        return fields


class _Fields(dict):
    """What a file says; what it does not say is an error."""

    def __missing__(self, field):
        raise ConfigurationError(
            f"{self.path} is damaged: it must say `{field}`. "
            f"Received: {', '.join(self)}"
        )


def _whole_lines(content):
    """The objects in a file of JSON lines, of which a kill may have cut one."""
    results = []
    for line in content.split(b"\n"):
        try:
            results.append(json.loads(line))
        except (ValueError, RecursionError):  # an empty or a half line
            continue
    return results

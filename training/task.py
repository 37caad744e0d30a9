"""What is particular to translation, to texts and to pictures."""

import abc
import functools
import importlib

import datasets
import zoo
from training.configuration import ConfigurationError
from training.fingerprint import fingerprint

# Of the kind of data that a model is fitted on.
_TASKS = {
    "translation": ("training.translation_task", "TranslationTask"),
    "text_classification": (
        "training.text_classification_task",
        "TextClassificationTask",
    ),
    "image_classification": (
        "training.image_classification_task",
        "ImageClassificationTask",
    ),
}


class Task(abc.ABC):
    """The data of a fit, and all that is done with data of their kind.

    Args:
        loaded: The `LoadedDataset`.
        needed: Names of the splits that must have examples.

    Attributes:
        splits: `{name: examples}`, with a length and in memory.

    Raises:
        ConfigurationError: If a split that is needed has no examples.
    """

    # What an example is called in messages, and what an evaluation counts.
    examples = "examples"
    scored = "examples"

    def __init__(self, loaded, needed=("train", "validation")):
        self.loaded = loaded
        self.splits = {name: self.read(name) for name in loaded.splits}
        for name in needed:
            if not len(self.splits[name]):
                raise ConfigurationError(
                    f"{loaded.name} has no {self.examples} in its split "
                    f"`{name}`."
                )

    @abc.abstractmethod
    def read(self, name):
        """The examples of a split of `loaded`, in memory."""

    @abc.abstractmethod
    def columns(self, name):
        """The columns of a split, for its `fingerprint`."""

    @functools.cached_property
    def fingerprints(self):
        """The `fingerprint` of each split."""
        return {name: fingerprint(self.columns(name)) for name in self.splits}

    @abc.abstractmethod
    def train_preprocessor(self, options):
        """A new preprocessor, from the training data.

        Args:
            options: The fields of the preprocessing.
        """

    def adapt(self, preprocessor):
        """The preprocessor of another run, for these data."""
        return preprocessor

    def same_classes(self, before, after):
        """Whether two preprocessors number the same classes alike."""
        return True

    @abc.abstractmethod
    def sizes(self, preprocessor):
        """Arguments of the model that come from the data."""

    @abc.abstractmethod
    def example_inputs(self, preprocessor):
        """Inputs of the model that hold nothing, to build it with."""

    @abc.abstractmethod
    def training_batches(self, recipe, preprocessor):
        """Batches of the training data, which are described in print."""

    def pretrain(
        self,
        recipe,
        model,
        preprocessor,
        batches,
        directory,
        distribution,
        save_seconds,
    ):
        """Fit the model to another aim first, where the recipe says so.

        Args:
            recipe, model, preprocessor, batches: Those of the fit.
            directory: Folder of the checkpoints.
            distribution, save_seconds: As in `training.fit.fit`.

        Returns:
            The scores of each epoch, or None.
        """
        return None

    @abc.abstractmethod
    def report_validation(self, preprocessor):
        """Describe the validation data in print."""

    @abc.abstractmethod
    def check_model(self, recipe, model):
        """See that recipe and model go together.

        Raises:
            ConfigurationError: If they do not.
        """

    @abc.abstractmethod
    def objective(self, recipe, model, preprocessor):
        """The `Objective` of the fit."""

    @abc.abstractmethod
    def evaluator(self, model, preprocessor, split, decoding=None, chosen=None):
        """What scores the model on a split: it has `evaluate()`.

        Args:
            model, preprocessor: Those of the run.
            split: Name of the split.
            decoding: `zoo.Decoding`, how a translator searches.
            chosen: The scores on validation data, with what was chosen
                there; by default this chooses anew.

        Raises:
            ConfigurationError: If there is a `decoding` for a model that
                does not translate.
        """

    @abc.abstractmethod
    def samples(self, model, preprocessor):
        """The `AttentionSamples` that TensorBoard shows."""

    def describe(self):
        """What metrics and card say of the data: a dictionary."""
        names = ("name", "description", "licence", "url", "citation")
        return {
            **{name: getattr(self.loaded, name) for name in names},
            "notes": list(self.loaded.notes),
            "fingerprints": self.fingerprints,
        }

    @abc.abstractmethod
    def sources(self, count):
        """The first validation examples, as `serving` takes them."""

    @property
    @abc.abstractmethod
    def example(self):
        """An example of the validation data, for the card."""


def task_class(name):
    """The class of a task.

    Args:
        name: One of the tasks of `datasets.LoadedDataset`.
    """
    module, attribute = _TASKS[name]
    return getattr(importlib.import_module(module), attribute)


def load_task(configuration, data_dir=None, needed=("train", "validation")):
    """Read the data of a fit.

    Raises:
        ConfigurationError: If an option is out of its range or a split that
            is needed has no examples.
        DataError: If the data can't be read.
    """
    try:
        loaded = datasets.load(
            configuration.dataset, data_dir=data_dir, **configuration.data
        )
    except datasets.DataError:
        raise
    except ValueError as error:
        raise ConfigurationError(str(error)) from error
    wanted = zoo.get_preset(configuration.preset).model.task
    if loaded.task != wanted:
        raise ConfigurationError(
            f"{configuration.preset} is a model for {wanted}, {loaded.name} "
            f"holds data for {loaded.task}. "
            f"Received: preset={configuration.preset}, "
            f"dataset={configuration.dataset}"
        )
    return task_class(loaded.task)(loaded, needed)

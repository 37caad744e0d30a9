"""A fit in one process on one device: what `training.replicas` spreads."""

import contextlib

from training.cluster import DistributionArguments
from training.configuration import ConfigurationError
from training.optimizer import AdamW

_ALONE = DistributionArguments()


class OneProcess:
    """A fit on one device.

    Args:
        asked_for: The `DistributionArguments`.

    Attributes:
        servers: Addresses of data servers.
        replicas: Number of devices over which a batch is spread.
        is_chief: Whether this process writes, prints and evaluates.
        optimizer: Class of the optimizer.
    """

    replicas = 1
    is_chief = True
    optimizer = AdamW

    def __init__(self, asked_for=_ALONE):
        self.asked_for = asked_for
        self.servers = asked_for.servers

    def check_asked_for(self, arguments):
        """See that nothing else is asked for in a file, which is read too
        late.

        Raises:
            ConfigurationError: If there is.
        """
        given = {
            "distribute": self.asked_for.kind,
            "data_service": self.asked_for.service,
        }
        for name, value in given.items():
            if (getattr(arguments, name) or "") != value:
                raise ConfigurationError(
                    f"`{name}` belongs on the command line, not in a file. "
                    f"Received: {name}={getattr(arguments, name)}"
                )

    def scope(self):
        """Inside, models and optimizers are made."""
        return contextlib.nullcontext()

    def quiet(self):
        """Inside, only the chief prints."""
        return contextlib.nullcontext()

    def errors(self):
        """Inside, an error of TensorFlow becomes one that says which worker
        is gone."""
        return contextlib.nullcontext()

    def suited(self, recipe):
        """The recipe as it can be followed."""
        return recipe

    def loss(self, loss):
        """A loss, or a dictionary of losses, of the whole batch."""
        return loss

    def iterator(self, batches, first, skip):
        """Of all `batches` from an epoch on, those skipped left out."""
        return iter(batches.epochs(first, skip, servers=self.servers))

    def train_function(self, model, signals):
        """A function of that iterator that does a step and gives the loss.

        Args:
            model: The compiled Keras model.
            signals: The `StopSignals`, which are agreed on after a step.
        """
        model.make_train_function()

        def step(iterator):
            logs = model.train_function(iterator)
            self.agree(signals)
            return logs

        return step

    def agree(self, signals):
        """Agree with the other processes on whether to stop.

        Args:
            signals: The `StopSignals`.
        """
        signals.agreed = signals.received

    def prepare(self, model, batches):
        """Get a compiled model ready for its first step, after a state was
        restored.

        Replicas draw other random numbers. These are not saved: only those of
        the first replica are, from which the others follow.

        Args:
            model: The compiled and built Keras model.
            batches: The `Batches`.
        """

    def of_chief(self, number):
        """The number that the chief gives, once all have asked for it."""
        return number

    def in_turn(self, act, follow):
        """What the chief does; the others do theirs when it is done.

        Args:
            act: Function without arguments, for the chief.
            follow: Likewise, for the others.
        """
        return act()

    def check_same(self, what, content):
        """See that all have the same.

        Args:
            what: What it is, for the error.
            content: Function without arguments that gives it, a list of
                arrays.

        Raises:
            ConfigurationError: If the chief has something else.
        """

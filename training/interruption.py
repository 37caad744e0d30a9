"""Stopping a fit between two steps, with its state saved."""

import signal
import threading
import time

import keras


class InterruptedFitError(Exception):
    """The fit was asked to stop by a signal, and its state is saved.

    Attributes:
        signal: The `signal.Signals`.
    """

    def __init__(self, received, epoch, step=None):
        self.signal = signal.Signals(received)
        place = f"after epoch {epoch + 1}"
        if step is not None:
            place = f"in epoch {epoch + 1} after {step} steps"
        super().__init__(
            f"Stopped by {self.signal.name} {place}. With the same command the "
            "fit goes on there."
        )


class StopSignals:
    """Inside, SIGTERM and Ctrl-C are noted and end nothing; a second Ctrl-C
    does what it does elsewhere.

    Attributes:
        received: The last one, or None.
        agreed: The one at which this process and all that fit with it stop,
            or None.
    """

    _NUMBERS = (signal.SIGTERM, signal.SIGINT)

    def __init__(self):
        self.received = self.agreed = None
        self._before = {}

    def asked(self):
        """For each kind of signal 1 if it was received, else 0."""
        return [float(self.received == number) for number in self._NUMBERS]

    def agree(self, asked):
        """Stop if any process was asked to.

        Args:
            asked: Sum of what all of them were `asked`.
        """
        for number, count in zip(self._NUMBERS, asked):
            if count:
                self.agreed = number

    def __enter__(self):
        # Python lets the main thread alone handle signals.
        if threading.current_thread() is threading.main_thread():
            for number in self._NUMBERS:
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_):
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number, frame):
        if self.received == number == signal.SIGINT:
            raise KeyboardInterrupt
        self.received = number


class SaveState(keras.callbacks.Callback):
    """Saves the state of the training now and then within an epoch, and when
    a signal asks the fit to stop.

    What is fitted does not depend on when that is.

    Args:
        state: The `TrainingState`.
        signals: The `StopSignals`.
        every: Seconds from one to the next.
    """

    def __init__(self, state, signals, every):
        super().__init__()
        self.state = state
        self.signals = signals
        self.every = every

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch
        self._saved = time.monotonic()
        self._started = time.perf_counter() - self.state.seconds

    def on_train_batch_end(self, batch, logs=None):
        is_due = time.monotonic() - self._saved >= self.every
        if is_due or self.signals.agreed:
            self.state.save(batch + 1, time.perf_counter() - self._started)
            self._saved = time.monotonic()
        if self.signals.agreed:
            raise InterruptedFitError(
                self.signals.agreed, self._epoch, batch + 1
            )

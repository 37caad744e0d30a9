"""Fit a model by a recipe: the loop over epochs, with scores after each."""

import contextlib
import os
import time

import keras
import tensorflow as tf
import tqdm

from training.cluster import LostPeerError
from training.configuration import ConfigurationError
from training.interruption import InterruptedFitError
from training.interruption import SaveState
from training.interruption import StopSignals
from training.one_process import OneProcess
from training.optimizer import averaged_weights
from training.optimizer import make_optimizer
from training.progress import ProgressBar
from training.progress import StopWhenNotFinite
from training.resume import TrainingState
from training.resume import write_atomically
from training.server_watch import watch_servers

# How often the state is saved within an epoch.
SAVE_SECONDS = 60.0

# Scores of which less is better.
_SMALLER_IS_BETTER = ("loss", "alignment_error_rate")


def is_better(metric, score, best):
    """Whether `score` is better than `best`, which may be None."""
    if best is None:
        return True
    return score < best if metric in _SMALLER_IS_BETTER else score > best


class ScoreEachEpoch(keras.callbacks.Callback):
    """After each epoch: scores, the best model, the state for a resume.

    Args:
        kept: The model that is kept.
        recipe: The `Recipe`.
        state: The `TrainingState`.
        evaluate: Function without arguments that gives the scores.
        path: Where the best model is kept.
        watch: Functions `(epoch, scores)` called with the averaged weights
            in place, as the one that writes for TensorBoard.
        keep: Function `(epoch)` called likewise, before the state is saved.
    """

    def __init__(
        self, kept, recipe, state, evaluate, path, watch=(), keep=None
    ):
        super().__init__()
        self.kept = kept
        self.recipe = recipe
        self.state = state
        self.evaluate = evaluate
        self.path = path
        self.watch = watch
        self.keep = keep

    def on_epoch_begin(self, epoch, logs=None):
        # A part of it may be that of an earlier start.
        self.started = time.perf_counter() - self.state.seconds

    def on_epoch_end(self, epoch, logs=None):
        fitted = time.perf_counter()
        metric = self.recipe.validation_metric
        with averaged_weights(self.model):
            scores = self.evaluate()
            best = best_epoch(metric, self.state.history)[1]
            better = is_better(metric, scores[metric], best)
            if better:
                waiting = _waiting(self.path, epoch)
                write_atomically(waiting, self.kept.save)
            if self.keep is not None:
                self.keep(epoch)
            for function in self.watch:
                function(epoch, {"training_loss": logs["loss"], **scores})
        scores["training_loss"] = logs["loss"]
        scores["seconds"] = fitted - self.started
        scores["evaluation_seconds"] = time.perf_counter() - fitted
        self.state.end_epoch(scores)
        if better:
            os.replace(waiting, self.path)
        tqdm.tqdm.write(self._line(epoch, scores))
        since_best = epoch - best_epoch(metric, self.state.history)[0]
        patience = self.recipe.early_stop_patience
        if patience and since_best >= patience:
            tqdm.tqdm.write(
                f"No better {metric} for {patience} epochs: the training ends."
            )
            self.model.stop_training = True

    def _line(self, epoch, scores):
        shown = [
            f"{name} {value:.4g}"
            for name, value in scores.items()
            if isinstance(value, float) and not name.endswith("seconds")
        ]
        return (
            f"epoch {epoch + 1}/{self.recipe.epochs}: "
            f"{scores['seconds']:.0f} s, {', '.join(shown)}"
        )


def _waiting(path, epoch):
    """Where the better model of an epoch, counted from 0, waits for the state
    that knows of it."""
    return path.with_name(f"{path.stem}-{epoch + 1:04}{path.suffix}")


def settle_best(path, metric, history):
    """Keep the better model of a process that ended before it could, if the
    state knows of it, and forget it if not.

    Args:
        path: Where the best model is kept.
        metric: What is better.
        history: The scores of the epochs of the state.
    """
    best, _ = best_epoch(metric, history)
    if best >= 0 and _waiting(path, best).exists():
        os.replace(_waiting(path, best), path)
    for waiting in path.parent.glob(f"{path.stem}-*{path.suffix}"):
        waiting.unlink()


def best_epoch(metric, history):
    """Number, from 0, and score of the best epoch; (-1, None) for none."""
    number, best = -1, None
    for index, scores in enumerate(history):
        if is_better(metric, scores[metric], best):
            number, best = index, scores[metric]
    return number, best


class FollowChief(keras.callbacks.Callback):
    """After each epoch: the chief's turn, then whether it goes on.

    Args:
        state: The `TrainingState`.
        signals: The `StopSignals`, of which some may have come meanwhile.
        distribution: What the fit is spread over, as in
            `training.one_process`.
    """

    def __init__(self, state, signals, distribution):
        super().__init__()
        self.state = state
        self.signals = signals
        self.distribution = distribution

    def on_epoch_end(self, epoch, logs=None):
        if not self.distribution.is_chief:
            self.state.end_epoch({})
        stop = self.distribution.of_chief(self.model.stop_training)
        self.model.stop_training = bool(stop)
        self.distribution.agree(self.signals)
        if self.signals.agreed:
            raise InterruptedFitError(self.signals.agreed, epoch)


def compile_model(objective, recipe, total_steps, distribution=None):
    """Give the fitted model of an `Objective` its optimizer and losses."""
    distribution = distribution or OneProcess()
    objective.fitted.compile(
        optimizer=make_optimizer(recipe, total_steps, distribution.optimizer),
        loss=distribution.loss(objective.loss),
        loss_weights=objective.loss_weights,
        jit_compile=recipe.jit,
    )
    return objective.fitted


def fit(
    objective,
    recipe,
    batches,
    evaluate,
    checkpoints,
    watch=(),
    keep=None,
    save_seconds=SAVE_SECONDS,
    distribution=None,
):
    """Fit a model, or go on with a fit that was interrupted.

    Args:
        objective: The `Objective`, whose model is built.
        recipe: The `Recipe`.
        batches: The `Batches` of the training data.
        evaluate: Function without arguments that gives the validation
            scores.
        checkpoints: Folder for the checkpoints and for `best.keras`.
        watch, keep: As in `ScoreEachEpoch`.
        save_seconds: How often the state is saved within an epoch.
        distribution: What the fit is spread over, as in
            `training.one_process`, inside whose scope the model was made;
            this process by default.

    Returns:
        The scores of each epoch, as a list of dictionaries; those of epochs
        that were fitted here are empty where another process evaluates.

    Raises:
        ConfigurationError: If the state can't be read or written.
        InterruptedFitError: If SIGTERM or Ctrl-C stopped it, its state saved.
        FloatingPointError: If the loss is no longer finite.
        LostPeerError: If a data server was started anew meanwhile.
        ConfigurationError: If data servers can't make the batches.
        Exception: The error of the batches, if there is one in the data.
    """
    distribution = distribution or OneProcess()
    steps = batches.steps_per_epoch
    with distribution.scope():
        compiled = compile_model(
            objective, recipe, steps * recipe.epochs, distribution
        )
        if not compiled.built:
            inputs, *_ = next(iter(batches.epochs().take(1)))
            compiled(inputs)
        compiled.optimizer.build(compiled.trainable_variables)
    state = TrainingState(checkpoints, compiled, distribution.is_chief)
    state.restore()
    if distribution.is_chief:
        settle_best(
            checkpoints / "best.keras", recipe.validation_metric, state.history
        )
    distribution.check_same(
        "The state of the training",
        lambda: [variable.numpy() for variable in state.variables],
    )
    distribution.prepare(compiled, batches)
    stopped = (
        recipe.early_stop_patience
        and state.epoch
        - 1
        - best_epoch(recipe.validation_metric, state.history)[0]
        >= recipe.early_stop_patience
    )
    if state.epoch >= recipe.epochs or stopped:
        return state.history
    if state.epoch or state.step:
        place = f"after epoch {state.epoch} of {recipe.epochs}"
        if state.step:
            place += f", at step {state.step} of {steps}"
        print(f"Going on {place}.")
    with StopSignals() as signals, watch_servers(distribution.servers):
        of_chief = [
            ProgressBar(
                steps * recipe.epochs, steps * state.epoch + state.step
            ),
            ScoreEachEpoch(
                objective.model,
                recipe,
                state,
                evaluate,
                checkpoints / "best.keras",
                watch,
                keep,
            ),
        ]
        callbacks = keras.callbacks.CallbackList(
            [
                StopWhenNotFinite(),
                SaveState(state, signals, save_seconds),
                *(of_chief if distribution.is_chief else ()),
                FollowChief(state, signals, distribution),
            ],
            model=compiled,
        )
        step = distribution.train_function(compiled, signals)
        with _errors_of_batches(batches, distribution.servers):
            iterator = distribution.iterator(batches, state.epoch, state.step)
            _run(step, iterator, steps, recipe.epochs, state, callbacks)
    return state.history


@contextlib.contextmanager
def _errors_of_batches(batches, servers):
    """Inside, an error of TensorFlow that batches are the cause of becomes one
    that says so."""
    try:
        yield
    except tf.errors.OpError as error:
        if batches.error is not None:
            raise batches.error from error
        if servers and "dispatcher restart" in error.message:
            raise LostPeerError(
                "A data server was started anew. Start the same command again: "
                "the fit goes on from the state that was saved last."
            ) from error
        if servers and "data service" in error.message:
            raise ConfigurationError(
                f"The data servers {', '.join(servers)} can't make the "
                f"batches: {error.message.splitlines()[0]}"
            ) from error
        raise


def _run(step, iterator, steps, epochs, state, callbacks):
    """All steps that are left.

    Keras' own `fit` begins with whole epochs alone.
    """
    model = callbacks.model
    model.stop_training = False
    callbacks.on_train_begin()
    for epoch in range(state.epoch, epochs):
        first = state.step
        if not first:
            model.reset_metrics()
        callbacks.on_epoch_begin(epoch)
        for number in range(first, steps):
            callbacks.on_train_batch_end(number, step(iterator))
        callbacks.on_epoch_end(epoch, model.get_metrics_result())
        if model.stop_training:
            break
    callbacks.on_train_end()

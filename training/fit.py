"""Fit a model by a recipe: the loop over epochs, with scores after each."""

import time

import keras
import tensorflow as tf
import tqdm

from training.optimizer import averaged_weights
from training.optimizer import make_optimizer
from training.progress import ProgressBar
from training.progress import StopWhenNotFinite
from training.resume import TrainingState
from training.resume import write_atomically

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
        self.started = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        fitted = time.perf_counter()
        metric = self.recipe.validation_metric
        with averaged_weights(self.model):
            scores = self.evaluate()
            best = best_epoch(metric, self.state.history)[1]
            if is_better(metric, scores[metric], best):
                write_atomically(self.path, self.kept.save)
            if self.keep is not None:
                self.keep(epoch)
            for function in self.watch:
                function(epoch, {"training_loss": logs["loss"], **scores})
        scores["training_loss"] = logs["loss"]
        scores["seconds"] = fitted - self.started
        scores["evaluation_seconds"] = time.perf_counter() - fitted
        self.state.save(scores)
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


def best_epoch(metric, history):
    """Number, from 0, and score of the best epoch; (-1, None) for none."""
    number, best = -1, None
    for index, scores in enumerate(history):
        if is_better(metric, scores[metric], best):
            number, best = index, scores[metric]
    return number, best


def compile_model(objective, recipe, total_steps):
    """Give the fitted model of an `Objective` its optimizer and losses."""
    objective.fitted.compile(
        optimizer=make_optimizer(recipe, total_steps),
        loss=objective.loss,
        loss_weights=objective.loss_weights,
        jit_compile=recipe.jit,
    )
    return objective.fitted


def fit(objective, recipe, batches, evaluate, checkpoints, watch=(), keep=None):
    """Fit a model, or go on with a fit that was interrupted.

    Args:
        objective: The `Objective`, whose model is built.
        recipe: The `Recipe`.
        batches: The `Batches` of the training data.
        evaluate: Function without arguments that gives the validation
            scores.
        checkpoints: Folder for the checkpoints and for `best.keras`.
        watch, keep: As in `ScoreEachEpoch`.

    Returns:
        The scores of each epoch, as a list of dictionaries.

    Raises:
        FloatingPointError: If the loss is no longer finite.
        Exception: The error of the batches, if there is one in the data.
    """
    steps = batches.steps_per_epoch
    compiled = compile_model(objective, recipe, steps * recipe.epochs)
    if not compiled.built:
        inputs, *_ = next(iter(batches.epochs().take(1)))
        compiled(inputs)
    compiled.optimizer.build(compiled.trainable_variables)
    state = TrainingState(checkpoints, compiled)
    state.restore()
    stopped = (
        recipe.early_stop_patience
        and state.epoch
        - 1
        - best_epoch(recipe.validation_metric, state.history)[0]
        >= recipe.early_stop_patience
    )
    if state.epoch >= recipe.epochs or stopped:
        return state.history
    if state.epoch:
        print(f"Going on after epoch {state.epoch} of {recipe.epochs}.")
    try:
        compiled.fit(
            batches.epochs(first=state.epoch),
            steps_per_epoch=steps,
            initial_epoch=state.epoch,
            epochs=recipe.epochs,
            shuffle=False,  # done by the batches
            verbose=0,
            callbacks=[
                StopWhenNotFinite(),
                ProgressBar(steps * recipe.epochs, steps * state.epoch),
                ScoreEachEpoch(
                    objective.model,
                    recipe,
                    state,
                    evaluate,
                    checkpoints / "best.keras",
                    watch,
                    keep,
                ),
            ],
        )
    except tf.errors.OpError as error:
        if batches.error is None:
            raise
        raise batches.error from error
    return state.history

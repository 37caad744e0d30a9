"""Fit a model by a recipe: the loop over epochs, with scores after each."""

import contextlib
import time

import keras
import tqdm

from training.guided_alignment import GuidedTranslator
from training.losses import GuidedAlignmentLoss
from training.losses import TokenCrossEntropy
from training.progress import ProgressBar
from training.progress import StopWhenNotFinite
from training.resume import TrainingState
from training.resume import write_atomically
from training.schedules import WarmupSchedule

# Scores of which less is better.
_SMALLER_IS_BETTER = ("loss", "alignment_error_rate")


def make_optimizer(recipe, total_steps):
    """AdamW by the recipe, with its schedule, clipping and averaging."""
    optimizer = keras.optimizers.AdamW(
        learning_rate=WarmupSchedule(
            recipe.learning_rate,
            recipe.warmup_steps,
            total_steps,
            recipe.schedule,
        ),
        weight_decay=recipe.weight_decay,
        beta_2=0.98,
        epsilon=1e-9,
        global_clipnorm=recipe.gradient_clip_norm or None,
        use_ema=recipe.average_decay > 0,
        ema_momentum=recipe.average_decay or 0.99,
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


def compile_model(model, recipe, total_steps):
    """Give the model its optimizer and losses.

    Returns:
        The Keras model to fit: `model` itself or a wrapper around it that
        has its attention as a second output.
    """
    tokens = TokenCrossEntropy(recipe.label_smoothing)
    options = {
        "optimizer": make_optimizer(recipe, total_steps),
        "jit_compile": recipe.jit,
    }
    if not recipe.guided_alignment:
        model.compile(loss=tokens, **options)
        return model
    guided = GuidedTranslator(model)
    guided.compile(
        loss={"tokens": tokens, "alignment": GuidedAlignmentLoss()},
        loss_weights={"tokens": 1.0, "alignment": recipe.guided_alignment},
        **options,
    )
    return guided


@contextlib.contextmanager
def averaged_weights(model):
    """Inside, the model has the moving averages as its weights."""
    # With float16 it is wrapped in one that scales the loss.
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    if not optimizer.use_ema:
        yield
        return
    own = [variable.numpy() for variable in model.trainable_variables]
    optimizer.finalize_variable_values(model.trainable_variables)
    try:
        yield
    finally:
        for variable, value in zip(model.trainable_variables, own):
            variable.assign(value)


def is_better(metric, score, best):
    """Whether `score` is better than `best`, which may be None."""
    if best is None:
        return True
    return score < best if metric in _SMALLER_IS_BETTER else score > best


class ScoreEachEpoch(keras.callbacks.Callback):
    """After each epoch: scores, the best model, the state for a resume.

    Args:
        translator: The model that is kept.
        recipe: The `Recipe`.
        state: The `TrainingState`.
        evaluate: Function without arguments that gives the scores.
        path: Where the best model is kept.
        watch: Functions `(epoch, scores)` called with the averaged weights
            in place, as the one that writes for TensorBoard.
    """

    def __init__(self, translator, recipe, state, evaluate, path, watch=()):
        super().__init__()
        self.translator = translator
        self.recipe = recipe
        self.state = state
        self.evaluate = evaluate
        self.path = path
        self.watch = watch

    def on_epoch_begin(self, epoch, logs=None):
        self.started = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        fitted = time.perf_counter()
        metric = self.recipe.validation_metric
        with averaged_weights(self.model):
            scores = self.evaluate()
            best = best_epoch(metric, self.state.history)[1]
            if is_better(metric, scores[metric], best):
                write_atomically(self.path, self.translator.save)
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


def fit(model, recipe, batches, evaluate, checkpoints, watch=()):
    """Fit a model, or go on with a fit that was interrupted.

    Args:
        model: A built translator.
        recipe: The `Recipe`.
        batches: The `PairBatches` of the training data.
        evaluate: Function without arguments that gives the validation
            scores.
        checkpoints: Folder for the checkpoints and for `best.keras`.
        watch: As in `ScoreEachEpoch`.

    Returns:
        The scores of each epoch, as a list of dictionaries.

    Raises:
        FloatingPointError: If the loss is no longer finite.
    """
    steps = batches.steps_per_epoch
    compiled = compile_model(model, recipe, steps * recipe.epochs)
    if compiled is not model:
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
                model,
                recipe,
                state,
                evaluate,
                checkpoints / "best.keras",
                watch,
            ),
        ],
    )
    return state.history

"""From a configuration to a fitted model in its run folder."""

import dataclasses
import math

import keras

import zoo
from summaries import AttentionSummary
from training.averaging import average_epochs
from training.averaging import EpochWeights
from training.configuration import ConfigurationError
from training.fit import best_epoch
from training.fit import fit
from training.fit import SAVE_SECONDS
from training.hardware import hardware
from training.start import find_start
from training.suited_recipe import suited_recipe
from training.task import load_task

# Samples whose attention is drawn, and at most how many times in a fit.
_MAPS = 6
_DRAWINGS = 30

# Tags of scores that are not of the validation data as such.
_TAGS = {
    "training_loss": "training/loss",
    "alignment_error_rate": "attention/alignment_error_rate",
}


def fit_run(
    configuration, run, data_dir=None, command="", save_seconds=SAVE_SECONDS
):
    """Fit a model, or go on with an interrupted fit.

    Args:
        configuration: A `FitConfiguration`.
        run: The `Run` that was started with it.
        data_dir: Folder where public data lie.
        command: The command line, which the metrics and the model card show.
        save_seconds: How often the state is saved within an epoch.

    Returns:
        The metrics, as written to `metrics.json`.

    Raises:
        ConfigurationError: If model, data and recipe do not go together, or
            the data of an interrupted fit have changed.
        FloatingPointError: If the loss is no longer finite.
    """
    recipe = configuration.recipe
    keras.utils.set_random_seed(recipe.seed)
    keras.config.set_dtype_policy(recipe.precision)
    task = load_task(configuration, data_dir)
    run.start_with(task.fingerprints)
    preprocessor = _preprocessor(task, configuration, run)
    batches = task.training_batches(recipe, preprocessor)
    task.report_validation(preprocessor)
    model = _model(task, configuration, preprocessor)
    print(
        f"model      {configuration.preset}, "
        f"{model.count_params():,} parameters"
    )
    task.check_model(recipe, model)
    recipe, shorter = suited_recipe(configuration, batches.steps_per_epoch)
    for note in (*task.loaded.notes, *shorter):
        print(f"note       {note}")
    pretraining = task.pretrain(
        recipe, model, preprocessor, batches, run.pretraining
    )
    evaluate = task.evaluator(model, preprocessor, "validation").evaluate
    weights = None
    if recipe.average_epochs:
        weights = EpochWeights(run.checkpoints, model, recipe.average_epochs)
    history = fit(
        task.objective(recipe, model, preprocessor),
        recipe,
        batches,
        evaluate,
        run.checkpoints,
        watch=[
            watch_attention(
                run, model, task.samples(model, preprocessor), recipe.epochs
            )
        ],
        keep=weights and weights.save,
        save_seconds=save_seconds,
    )
    epoch, _ = best_epoch(recipe.validation_metric, history)
    chosen, validation, averaged = f"epoch {epoch + 1}", history[epoch], None
    if weights is not None:
        scores, kept = average_epochs(
            weights, recipe, evaluate, history, run.model_path
        )
        epochs = [number + 1 for number in weights.files()]
        averaged = {**scores, "epochs": epochs, "kept": kept}
        if kept:
            chosen = f"mean of epochs {epochs[0]} to {epochs[-1]}"
            validation = scores
    metrics = {
        "command": command,
        "hardware": hardware(),
        "data": task.describe(),
        "example": task.example,
        "best_epoch": epoch + 1,
        "chosen": chosen,
        "validation": validation,
        "parameters": model.count_params(),
        "training_seconds": sum(scores["seconds"] for scores in history),
        "history": history,
        **({"averaged": averaged} if averaged else {}),
        **({"pretraining": pretraining} if pretraining else {}),
    }
    run.save_metrics(metrics)
    return metrics


def _preprocessor(task, configuration, run):
    """The run's preprocessor: its own, that of its start, or a new one."""
    preprocessor = run.load_preprocessor()
    if preprocessor is not None:
        return preprocessor
    start = find_start(configuration)
    if start is not None:
        preprocessor = start.load_preprocessor(task)
    else:
        options = dataclasses.asdict(configuration.preprocessing)
        try:
            preprocessor = task.train_preprocessor(options)
        except ValueError as error:
            raise ConfigurationError(str(error)) from error
    run.save_preprocessor(preprocessor)
    return preprocessor


def _model(task, configuration, preprocessor):
    start = find_start(configuration)
    if start is not None:
        return start.load_model(task, preprocessor)
    try:
        model = zoo.create_model(
            configuration.preset,
            **{**configuration.model, **task.sizes(preprocessor)},
        )
    except ValueError as error:
        raise ConfigurationError(str(error)) from error
    model(task.example_inputs(preprocessor))
    return model


def watch_attention(run, model, samples, epochs):
    """What writes for TensorBoard after each epoch.

    Maps take seconds: of a fit of many short epochs not all have them.
    """
    every = math.ceil(epochs / _DRAWINGS)
    summary = AttentionSummary(
        run.tensorboard, samples, max_images=_MAPS, model=model
    )

    def write(epoch, scores):
        scalars = {
            _TAGS.get(name, f"validation/{name}"): value
            for name, value in scores.items()
            if isinstance(value, float)
        }
        if epoch % every == 0 or epoch + 1 == epochs:
            summary.write(epoch, scalars=scalars)
        else:
            summary.write_scalars(epoch, scalars)

    return write

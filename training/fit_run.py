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
from training.one_process import OneProcess
from training.run import Run
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


def start_run(directory, configuration, distribution):
    """The `Run` of a configuration, once it is started in its folder.

    Raises:
        ConfigurationError: If the folder holds another configuration, or is
            not the one in which the first worker started it.
    """
    return distribution.in_turn(
        lambda: Run.start(directory, configuration),
        lambda: Run.join(directory, configuration),
    )


def fit_run(
    configuration,
    run,
    data_dir=None,
    command="",
    save_seconds=SAVE_SECONDS,
    distribution=None,
):
    """Fit a model, or go on with an interrupted fit.

    Args:
        configuration: A `FitConfiguration`.
        run: The `Run` that was started with it.
        data_dir: Folder where public data lie.
        command: The command line, which the metrics and the model card show.
        save_seconds: How often the state is saved within an epoch.
        distribution: What the fit is spread over, as in
            `training.one_process`; this process by default.

    Returns:
        The metrics, as written to `metrics.json`; None in a process that is
        not the one that writes.

    Raises:
        ConfigurationError: If model, data and recipe do not go together, or
            the data of an interrupted fit have changed.
        FloatingPointError: If the loss is no longer finite.
    """
    distribution = distribution or OneProcess()
    recipe = configuration.recipe
    keras.utils.set_random_seed(recipe.seed)
    keras.config.set_dtype_policy(recipe.precision)
    task = load_task(configuration, data_dir)
    distribution.in_turn(
        lambda: run.start_with(task.fingerprints),
        lambda: run.check_data(task.fingerprints),
    )
    preprocessor = distribution.in_turn(
        lambda: _preprocessor(task, configuration, run),
        lambda: _preprocessor_of_chief(run),
    )
    batches = task.training_batches(recipe, preprocessor)
    task.report_validation(preprocessor)
    with distribution.scope():
        model = _model(task, configuration, preprocessor)
    print(
        f"model      {configuration.preset}, "
        f"{model.count_params():,} parameters"
    )
    task.check_model(recipe, model)
    recipe, shorter = suited_recipe(configuration, batches.steps_per_epoch)
    recipe = distribution.suited(recipe)
    for note in (*task.loaded.notes, *shorter):
        print(f"note       {note}")
    pretraining = task.pretrain(
        recipe,
        model,
        preprocessor,
        batches,
        run.pretraining,
        distribution,
        save_seconds,
    )
    evaluate = task.evaluator(model, preprocessor, "validation").evaluate
    weights = None
    if recipe.average_epochs:
        weights = EpochWeights(run.checkpoints, model, recipe.average_epochs)
    with distribution.scope():
        objective = task.objective(recipe, model, preprocessor)
    history = fit(
        objective,
        recipe,
        batches,
        evaluate,
        run.checkpoints,
        watch=_watch(distribution, run, task, model, preprocessor, recipe),
        keep=weights and weights.save,
        save_seconds=save_seconds,
        distribution=distribution,
    )

    def finish():
        metrics = {
            "command": command,
            "hardware": hardware(),
            "data": task.describe(),
            "example": task.example,
            **_outcome(run, recipe, weights, evaluate, history),
            "parameters": model.count_params(),
            "replicas": distribution.replicas,
            "adapted": _differences(configuration.recipe, recipe),
            **({"pretraining": pretraining} if pretraining else {}),
        }
        run.save_metrics(metrics)
        return metrics

    return distribution.in_turn(finish, lambda: None)


def _differences(recipe, used):
    """The fields of a recipe that were used with other values."""
    before, after = map(dataclasses.asdict, (recipe, used))
    return {name: after[name] for name in after if after[name] != before[name]}


def _outcome(run, recipe, weights, evaluate, history):
    """What the metrics say of the epochs, and of their mean where that is
    asked for."""
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
    return {
        "best_epoch": epoch + 1,
        "chosen": chosen,
        "validation": validation,
        "training_seconds": sum(scores["seconds"] for scores in history),
        "history": history,
        **({"averaged": averaged} if averaged else {}),
    }


def _watch(distribution, run, task, model, preprocessor, recipe):
    """What writes for TensorBoard, in the process that writes."""
    if not distribution.is_chief:
        return ()
    samples = task.samples(model, preprocessor)
    return [watch_attention(run, model, samples, recipe.epochs)]


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


def _preprocessor_of_chief(run):
    """The run's preprocessor, which the first worker has saved."""
    preprocessor = run.load_preprocessor()
    if preprocessor is None:
        raise ConfigurationError(
            f"{run.directory} has no preprocessor, though the first worker "
            "has saved it: all workers need one folder of runs."
        )
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

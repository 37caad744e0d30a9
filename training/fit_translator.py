"""From a configuration to a fitted translator in its run folder."""

import dataclasses
import os
import platform

import keras
import numpy as np
import tensorflow as tf

import datasets
import zoo
from preprocessing.batching import PairBatches
from preprocessing.special_tokens import PADDING_ID
from preprocessing.special_tokens import START_ID
from preprocessing.translation import TranslationPreprocessor
from summaries import AttentionSamples
from summaries import AttentionSummary
from summaries import Side
from training.configuration import ConfigurationError
from training.evaluation import TranslationEvaluator
from training.fit import best_epoch
from training.fit import fit
from training.run import Run
from training.translation import describe
from training.translation import read_pairs
from training.translation import tokenize_pairs
from training.translation import training_rows

# Validation sentences whose attention TensorBoard shows.
_WATCHED = 6

# Inputs of a translator that hold only padding.
_NO_TEXT = {side: np.zeros((1, 2), np.int32) for side in ("source", "target")}

# Tags of scores that are not of the validation data as such.
_TAGS = {
    "training_loss": "training/loss",
    "alignment_error_rate": "attention/alignment_error_rate",
}


def load_splits(configuration, data_dir=None, needed=("train", "validation")):
    """Read a data set: its `LoadedDataset` and `{split: Pairs}`.

    Raises:
        ConfigurationError: If an option is out of its range or a split that
            is needed has no pairs.
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
    splits = {name: read_pairs(split) for name, split in loaded.splits.items()}
    for name in needed:
        if not len(splits[name]):
            raise ConfigurationError(
                f"{loaded.name} has no pairs in its split `{name}`."
            )
    return loaded, splits


def fit_translator(configuration, run, data_dir=None, command=""):
    """Fit a translator, or go on with an interrupted fit.

    Args:
        configuration: A `FitConfiguration`.
        run: The `Run` that was started with it.
        data_dir: Folder where public data lie.
        command: The command line, which the metrics and the model card show.

    Returns:
        The metrics, as written to `metrics.json`.

    Raises:
        ConfigurationError: If model, data and recipe do not go together.
        FloatingPointError: If the loss is no longer finite.
    """
    recipe = configuration.recipe
    keras.utils.set_random_seed(recipe.seed)
    keras.config.set_dtype_policy(recipe.precision)
    loaded, splits = load_splits(configuration, data_dir)
    preprocessor = _preprocessor(configuration, run, splits["train"])
    batches = _training_batches(recipe, preprocessor, splits["train"])
    _report_validation(preprocessor, splits["validation"])
    model = _model(configuration, run, preprocessor)
    print(
        f"model      {configuration.preset}, "
        f"{model.count_params():,} parameters"
    )
    if recipe.guided_alignment and not model.attention_scores(_NO_TEXT):
        raise ConfigurationError(
            "Guided alignment needs a model with attention. "
            f"Received: guided_alignment={recipe.guided_alignment}"
        )
    evaluator = TranslationEvaluator(
        model, preprocessor, splits["validation"], loaded.target_language
    )
    history = fit(
        model,
        recipe,
        batches,
        evaluator.evaluate,
        run.checkpoints,
        watch=[watch_attention(run, model, preprocessor, splits["validation"])],
    )
    epoch, _ = best_epoch(recipe.validation_metric, history)
    metrics = {
        "command": command,
        "hardware": hardware(),
        "data": _describe_data(loaded, splits),
        "example": splits["validation"].sources[0],
        "best_epoch": epoch + 1,
        "validation": history[epoch],
        "parameters": model.count_params(),
        "training_seconds": sum(scores["seconds"] for scores in history),
        "history": history,
    }
    run.save_metrics(metrics)
    return metrics


def _describe_data(loaded, splits):
    return {
        "name": loaded.name,
        "description": loaded.description,
        "source_language": loaded.source_language,
        "target_language": loaded.target_language,
        "licence": loaded.licence,
        "url": loaded.url,
        "citation": loaded.citation,
        "pairs": {name: len(pairs) for name, pairs in splits.items()},
    }


def hardware():
    """The processor, its cores that this process may use, and the GPUs."""
    gpus = [
        tf.config.experimental.get_device_details(gpu).get("device_name", gpu)
        for gpu in tf.config.list_physical_devices("GPU")
    ]
    # Not every system says which cores a process may use.
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count()
    return ", ".join([f"{cores} cores {platform.machine()}", *map(str, gpus)])


def _preprocessor(configuration, run, train):
    """The run's preprocessor: its own, that of its start, or a new one."""
    preprocessor = run.load_preprocessor()
    if preprocessor is not None:
        return preprocessor
    if configuration.init_from:
        preprocessor = Run.find(configuration.init_from).load_preprocessor()
    else:
        options = configuration.preprocessing
        try:
            preprocessor = TranslationPreprocessor.train(
                train.sources, train.targets, **dataclasses.asdict(options)
            )
        except ValueError as error:
            raise ConfigurationError(str(error)) from error
    run.save_preprocessor(preprocessor)
    return preprocessor


def _training_batches(recipe, preprocessor, train):
    guided = recipe.guided_alignment > 0
    if guided and train.alignments is None:
        raise ConfigurationError(
            "This data set has no gold alignments to guide the attention. "
            f"Received: guided_alignment={recipe.guided_alignment}"
        )
    tokenized, lengths = tokenize_pairs(preprocessor, train, with_links=guided)
    rows, dropped = training_rows(
        train, lengths, preprocessor.max_sequence_length
    )
    if not len(rows):
        raise ConfigurationError(
            f"None of the {len(train)} pairs can be trained on: {dropped}."
        )
    tokenized = tokenized.select(rows)
    sizes = [
        tokenizer.vocabulary_size
        for tokenizer in (
            preprocessor.source_tokenizer,
            preprocessor.target_tokenizer,
        )
    ]
    print(f"vocabulary {sizes[0]:,} source and {sizes[1]:,} target tokens")
    print(describe("train", tokenized, lengths, dropped))
    batches = PairBatches(tokenized, recipe.tokens_per_batch, recipe.seed)
    padded = int(np.dot(batches.counts, batches.lengths))
    real = int(tokenized.lengths.sum())
    print(
        f"batches    {batches.steps_per_epoch:,} an epoch, lengths "
        f"{', '.join(map(str, batches.lengths))}; "
        f"{1 - real / padded:.0%} padding"
    )
    return batches


def _report_validation(preprocessor, validation):
    tokenized, lengths = tokenize_pairs(preprocessor, validation)
    limit = preprocessor.max_sequence_length
    longer = int((lengths > limit).any(axis=1).sum())
    print(describe("validation", tokenized, lengths))
    if longer:
        print(f"           {longer} longer than {limit} tokens were cut")


def _model(configuration, run, preprocessor):
    # A run that goes on has its weights in its own checkpoint.
    if configuration.init_from and not any(run.checkpoints.glob("*")):
        return _start_from(configuration)
    source, target = (
        preprocessor.source_tokenizer,
        preprocessor.target_tokenizer,
    )
    try:
        model = zoo.create_model(
            configuration.preset,
            source_vocabulary_size=source.vocabulary_size,
            target_vocabulary_size=target.vocabulary_size,
            **configuration.model,
        )
    except ValueError as error:
        raise ConfigurationError(str(error)) from error
    build(model)
    return model


def _start_from(configuration):
    model = Run.find(configuration.init_from).load_model()
    config = model.get_config()
    for name, value in configuration.model.items():
        if config[name] != value and "dropout" not in name:
            raise ConfigurationError(
                f"The run {configuration.init_from} has "
                f"model.{name}={config[name]}. Received: model.{name}={value}"
            )
    changes = {**configuration.model, "dtype": configuration.recipe.precision}
    fresh = type(model).from_config({**config, **changes})
    build(fresh)
    fresh.set_weights(model.get_weights())
    return fresh


def build(model):
    """Make the weights of a translator, by one call on padding."""
    model(_NO_TEXT)


def watch_attention(run, model, preprocessor, validation):
    """What writes for TensorBoard after each epoch."""
    rows = np.linspace(0, len(validation) - 1, _WATCHED).astype(int)
    pairs = validation.select(np.unique(rows))
    source = preprocessor.encode_source(tf.constant(pairs.sources)).to_tensor()
    target = preprocessor.cut(
        preprocessor.encode_target(tf.constant(pairs.targets))
    ).to_tensor()
    start = tf.fill([tf.shape(target)[0], 1], START_ID)
    samples = AttentionSamples(
        inputs={
            "source": source,
            "target": tf.concat([start, target[:, :-1]], axis=1),
        },
        sides={
            "source": _side(preprocessor.source_tokenizer, source),
            "target": _side(preprocessor.target_tokenizer, target),
        },
    )
    summary = AttentionSummary(
        run.tensorboard, samples, max_images=_WATCHED, model=model
    )

    def write(epoch, scores):
        scalars = {
            _TAGS.get(name, f"validation/{name}"): value
            for name, value in scores.items()
            if isinstance(value, float)
        }
        summary.write(epoch, scalars=scalars)

    return write


def _side(tokenizer, token_ids):
    strings = tokenizer.token_strings(token_ids).numpy().tolist()
    tokens = [[token for token in row if token] for row in strings]
    return Side(tokens, tf.not_equal(token_ids, PADDING_ID).numpy())

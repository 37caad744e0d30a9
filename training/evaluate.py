"""The scores of a fitted run on a split of its data."""

import csv
import time

from training.evaluation import by_source_length
from training.evaluation import TranslationEvaluator
from training.fit_translator import hardware
from training.fit_translator import load_splits
from training.resume import write_atomically


def evaluate_run(run, configuration, split, data_dir=None, output=None):
    """Score the best model of a run.

    An evaluation on the test split is noted in `test_runs.jsonl`, so that a
    reported number can say how many there were.

    Args:
        run: A fitted `Run`.
        configuration: Its `FitConfiguration`.
        split: `"validation"` or `"test"`.
        data_dir: Folder where public data lie.
        output: File for the translations (see `write_translations`); or
            None.

    Returns:
        The scores; on the test split with `test_runs`.
    """
    loaded, splits = load_splits(configuration, data_dir, needed=[split])
    pairs = splits[split]
    evaluator = TranslationEvaluator(
        run.load_model(),
        run.load_preprocessor(),
        pairs,
        loaded.target_language,
    )
    started = time.perf_counter()
    scores = evaluator.evaluate(as_papers=True)
    scores["seconds"] = time.perf_counter() - started
    translations, log_probabilities = evaluator.translations
    if loaded.target_language:
        scores["by_source_length"] = by_source_length(
            pairs, translations, loaded.target_language
        )
    scores["sentences"] = len(pairs)
    if output:
        rows = zip(pairs.sources, translations, log_probabilities)
        write_atomically(output, lambda path: write_translations(path, rows))
    if split == "test":
        scores["test_runs"] = run.add_test_run(
            {"hardware": hardware(), **scores}
        )
    return scores


def write_translations(path, rows):
    """Write rows of source, translation and log-probability, by tabs."""
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(("source", "translation", "log_probability"))
        for source, translation, score in rows:
            writer.writerow((source, translation, f"{score:.6f}"))

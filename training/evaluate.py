"""The scores of a fitted run on a split of its data."""

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
        output: File for the translations, one a line; or None.

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
    translations, _ = evaluator.translations
    if loaded.target_language:
        scores["by_source_length"] = by_source_length(
            pairs, translations, loaded.target_language
        )
    scores["sentences"] = len(pairs)
    if output:
        text = "".join(f"{line}\n" for line in translations)
        write_atomically(output, lambda path: path.write_text(text, "utf-8"))
    if split == "test":
        scores["test_runs"] = run.add_test_run(
            {"hardware": hardware(), **scores}
        )
    return scores

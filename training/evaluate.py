"""The scores of a fitted run on a split of its data."""

import dataclasses
import sys
import time

from training.hardware import hardware
from training.task import load_task


def evaluate_run(
    run, configuration, split, data_dir=None, output=None, decoding=None
):
    """Score the best model of a run.

    An evaluation on the test split is noted in `test_runs.jsonl`, so that a
    reported number can say how many there were.

    If the training data or the split are no longer those of the fit, a warning
    is printed, and `changed_splits` of the scores names them.

    Drawings of it lie in the folder `evaluation/<split>` of the run.

    Args:
        run: A fitted `Run`.
        configuration: Its `FitConfiguration`.
        split: `"validation"` or `"test"`.
        data_dir: Folder where public data lie.
        output: File for the answers, a row each; or None.
        decoding: `zoo.Decoding`, how a translator searches; greedy by
            default.

    Returns:
        The scores; on the test split with `test_runs`.

    Raises:
        ConfigurationError: If there is a `decoding` for a model that does
            not translate.
    """
    task = load_task(configuration, data_dir, needed=[split])
    changed = run.changed_splits(task.fingerprints, ("train", split))
    if changed:
        print(
            f"warning    {configuration.dataset} has changed since "
            f"{run.directory} was fitted: other examples in "
            f"{' and '.join(changed)}. Examples may be scored that it was "
            "trained on.",
            file=sys.stderr,
        )
    evaluator = task.evaluator(
        run.load_model(),
        run.load_preprocessor(),
        split,
        decoding,
        chosen=run.metrics.get("validation"),
    )
    started = time.perf_counter()
    scores = evaluator.evaluate()
    scores["seconds"] = time.perf_counter() - started
    scores |= evaluator.details()
    scores[task.scored] = len(task.splits[split])
    if changed:
        scores["changed_splits"] = changed
    if decoding is not None:
        scores["decoding"] = dataclasses.asdict(decoding)
    # First of all: what fails later does not undo that it was looked at.
    if split == "test":
        scores["test_runs"] = run.add_test_run(
            {"hardware": hardware(), **scores}
        )
    evaluator.draw(run.drawings(split))
    if output:
        evaluator.write(output)
    return scores

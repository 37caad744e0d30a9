"""What is seen of a training while it runs."""

import math
import sys

import keras
import tqdm

from training.printable import printable

# Classes of which the confusion matrix has its place on a terminal.
_MOST_CLASSES = 20


class ProgressBar(keras.callbacks.Callback):
    """One bar over all steps of the training, with rate and time left.

    Args:
        total_steps: Steps of the whole training.
        first_step: Steps that an earlier, interrupted start has done.
    """

    def __init__(self, total_steps, first_step=0):
        super().__init__()
        self.total_steps = total_steps
        self.first_step = first_step

    def on_train_begin(self, logs=None):
        terminal = sys.stderr.isatty()
        self.bar = tqdm.tqdm(
            total=self.total_steps,
            initial=self.first_step,
            unit="step",
            dynamic_ncols=terminal,
            mininterval=0.5 if terminal else 30.0,
        )

    def on_train_batch_end(self, batch, logs=None):
        self.bar.set_postfix(loss=f"{logs['loss']:.3f}", refresh=False)
        self.bar.update()

    def on_train_end(self, logs=None):
        self.bar.close()


class StopWhenNotFinite(keras.callbacks.Callback):
    """Ends the training with an error when the loss is no number any more."""

    def on_train_batch_end(self, batch, logs=None):
        loss = logs["loss"]
        if not math.isfinite(loss):
            raise FloatingPointError(
                f"The loss is no longer finite at step {batch + 1} of this "
                f"epoch: {loss}. A smaller `learning_rate`, a longer "
                "`warmup_steps` or a smaller `gradient_clip_norm` may help; "
                "the last whole epoch is kept in the run folder."
            )


def score_table(title, scores, drawings=None):
    """Scores as lines of text under a title.

    Args:
        title: What was scored.
        scores: As an evaluation gives them.
        drawings: Folder in which a confusion matrix is drawn that is too
            large to be shown here.
    """
    lines = [f"\n{title}:"]
    for name, value in scores.items():
        if name == "confusion_matrix" and len(value) > _MOST_CLASSES:
            value = f"{drawings}/confusion_matrix.png"
        rows = value if isinstance(value, list) else [value]
        lines += [f"  {_shown(name):<22} {_shown(row)}" for row in rows]
    return "\n".join(lines)


def _shown(value):
    if isinstance(value, dict):
        return ", ".join(
            f"{_shown(key)} {_shown(each)}" for key, each in value.items()
        )
    if isinstance(value, str):
        return printable(value)
    return f"{value:.4f}" if isinstance(value, float) else value

"""What a fit minimises: losses, and the model that has their inputs."""

import dataclasses
from typing import Any

import keras

from training.guided_alignment import GuidedTranslator
from training.losses import GuidedAlignmentLoss
from training.losses import TokenCrossEntropy


@dataclasses.dataclass(frozen=True)
class Objective:
    """What a fit minimises.

    Attributes:
        model: The model that is wanted in the end.
        fitted: The Keras model that is fitted: `model` itself or one around
            it with more outputs or a training step of its own.
        loss: As `keras.Model.compile` takes it.
        loss_weights: Likewise.
    """

    model: keras.Model
    fitted: keras.Model
    loss: Any
    loss_weights: dict | None = None


def translation_objective(model, recipe):
    """The next token, and with guided alignment the attention too."""
    tokens = TokenCrossEntropy(recipe.label_smoothing)
    if not recipe.guided_alignment:
        return Objective(model, model, tokens)
    return Objective(
        model,
        GuidedTranslator(model),
        {"tokens": tokens, "alignment": GuidedAlignmentLoss()},
        {"tokens": 1.0, "alignment": recipe.guided_alignment},
    )

"""How a model is fitted: every number that is not in the architecture."""

import dataclasses
from typing import Literal


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How to fit.

    Attributes:
        epochs: Most passes over the training data.
        tokens_per_batch: Most tokens of a batch, padding included.
        learning_rate: Peak of the schedule.
        schedule: What follows the warm-up.
        warmup_steps: Steps in which the learning rate rises to its peak.
        weight_decay: Decay of AdamW; 0 is plain Adam. Biases and
            normalisation weights do not decay.
        gradient_clip_norm: Largest global norm of a gradient; 0 is no limit.
        label_smoothing: Share of the target probability that is spread.
        average_decay: Decay of the exponential moving average of the
            weights, which is what is evaluated and kept; 0 is none.
        guided_alignment: Weight of the alignment loss (Chen et al., 2016)
            where the data have gold alignments; 0 is none.
        validation_metric: What chooses the best epoch.
        early_stop_patience: Epochs without a better score after which the
            training stops; 0 is never.
        precision: Policy of computation.
        jit: Whether to compile the training step with XLA.
        seed: Seed of weights, dropout and order.
    """

    epochs: int = 10
    tokens_per_batch: int = 2048
    learning_rate: float = 1e-3
    schedule: Literal["constant", "cosine", "inverse_square_root"] = "cosine"
    warmup_steps: int = 200
    weight_decay: float = 0.0
    gradient_clip_norm: float = 1.0
    label_smoothing: float = 0.0
    average_decay: float = 0.0
    guided_alignment: float = 0.0
    validation_metric: Literal[
        "bleu", "chrf", "exact_match", "token_accuracy", "loss"
    ] = "bleu"
    early_stop_patience: int = 0
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    jit: bool = True
    seed: int = 0

    def __post_init__(self):
        for name, lowest, highest in (
            ("epochs", 1, None),
            ("tokens_per_batch", 1, None),
            ("warmup_steps", 0, None),
            ("weight_decay", 0, None),
            ("gradient_clip_norm", 0, None),
            ("label_smoothing", 0, 1),
            ("average_decay", 0, 1),
            ("guided_alignment", 0, None),
            ("early_stop_patience", 0, None),
            ("seed", 0, 2**32),
        ):
            value = getattr(self, name)
            if value < lowest or (highest is not None and value >= highest):
                limit = "" if highest is None else f" and below {highest}"
                raise ValueError(
                    f"`{name}` must be at least {lowest}{limit}. "
                    f"Received: {name}={value}"
                )
        if self.learning_rate <= 0:
            raise ValueError(
                "`learning_rate` must be positive. "
                f"Received: learning_rate={self.learning_rate}"
            )


@dataclasses.dataclass(frozen=True)
class TextPreprocessing:
    """How text becomes tokens.

    Attributes:
        tokenizer: `word`: words, single digits and signs; `subword`: pieces
            of words, learned by byte-pair encoding.
        vocabulary_size: Most tokens of a vocabulary.
        shared_vocabulary: Whether both languages share one vocabulary.
        lowercase: Whether text is lower-cased.
        max_sequence_length: Most tokens of a sentence, END included; longer
            pairs are left out of the training.
    """

    tokenizer: Literal["word", "subword"] = "word"
    vocabulary_size: int = 8000
    shared_vocabulary: bool = False
    lowercase: bool = False
    max_sequence_length: int = 64

    def __post_init__(self):
        for name, lowest in (
            ("vocabulary_size", 5),
            ("max_sequence_length", 2),
        ):
            if getattr(self, name) < lowest:
                raise ValueError(
                    f"`{name}` must be at least {lowest}. "
                    f"Received: {name}={getattr(self, name)}"
                )


# By the task of a model.
PREPROCESSING = {"translation": TextPreprocessing}

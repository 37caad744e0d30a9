"""How a model is fitted: every number that is not in the architecture."""

import dataclasses
import math
from typing import Literal


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How to fit, whatever the task.

    Attributes:
        epochs: Most passes over the training data.
        learning_rate: Peak of the schedule.
        schedule: What follows the warm-up.
        warmup_steps: Updates in which the learning rate rises to its peak.
        shorten_warmup: Whether `warmup_steps` and the memory of
            `average_decay` may be less than the preset's where there are
            fewer updates than the preset has: a tenth of them at most.
        weight_decay: Decay of AdamW; 0 is plain Adam. Biases and
            normalisation weights do not decay.
        gradient_clip_norm: Largest global norm of a gradient; 0 is no limit.
        gradient_accumulation: Number of batches whose mean gradient makes
            one update.
        label_smoothing: Share of the target probability that is spread.
        average_decay: Decay of the exponential moving average of the
            weights, which is what is evaluated and kept; 0 is none.
        average_epochs: The mean of the weights of so many last epochs is
            scored in the end and kept if it is better than every epoch
            (checkpoint averaging); 0 is none.
        early_stop_patience: Epochs without a better score after which the
            training stops; 0 is never.
        precision: Policy of computation.
        jit: Whether to compile the training step with XLA.
        seed: Seed of weights, dropout and order.
    """

    epochs: int = 10
    learning_rate: float = 1e-3
    schedule: Literal["constant", "cosine", "inverse_square_root"] = "cosine"
    warmup_steps: int = 200
    shorten_warmup: bool = True
    weight_decay: float = 0.0
    gradient_clip_norm: float = 1.0
    gradient_accumulation: int = 1
    label_smoothing: float = 0.0
    average_decay: float = 0.0
    average_epochs: int = 0
    early_stop_patience: int = 0
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    jit: bool = True
    seed: int = 0

    def __post_init__(self):
        for name in self.positive():
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(
                    f"`{name}` must be positive. "
                    f"Received: {name}={getattr(self, name)}"
                )
        for name, (lowest, highest) in self.limits().items():
            value = getattr(self, name)
            is_above = highest is not None and value >= highest
            if not math.isfinite(value) or value < lowest or is_above:
                limit = "" if highest is None else f" and below {highest}"
                raise ValueError(
                    f"`{name}` must be at least {lowest}{limit}. "
                    f"Received: {name}={value}"
                )

    def positive(self):
        """Fields that must be more than 0."""
        return ["learning_rate"]

    def limits(self):
        """`{field: (lowest, what it must stay below or None)}`."""
        return {
            "epochs": (1, None),
            "warmup_steps": (0, None),
            "weight_decay": (0, None),
            "gradient_clip_norm": (0, None),
            "gradient_accumulation": (1, None),
            "label_smoothing": (0, 1),
            "average_decay": (0, 1),
            "average_epochs": (0, None),
            "early_stop_patience": (0, None),
            "seed": (0, 2**32),
        }


@dataclasses.dataclass(frozen=True)
class TranslationRecipe(Recipe):
    """How to fit a translator.

    Attributes:
        tokens_per_batch: Most tokens of a batch, padding included.
        guided_alignment: Weight of the alignment loss (Chen et al., 2016)
            where the data have gold alignments; 0 is none.
        validation_metric: What chooses the best epoch.
    """

    tokens_per_batch: int = 2048
    guided_alignment: float = 0.0
    validation_metric: Literal[
        "bleu", "chrf", "exact_match", "token_accuracy", "loss"
    ] = "bleu"

    def limits(self):
        return {
            **super().limits(),
            "tokens_per_batch": (1, None),
            "guided_alignment": (0, None),
        }


@dataclasses.dataclass(frozen=True)
class ClassificationRecipe(Recipe):
    """How to fit a classifier.

    Attributes:
        batch_size: Examples of a batch.
        class_weights: `balanced` weighs an example by how rare its class is,
            so that each class counts the same.
        validation_metric: What chooses the best epoch.
    """

    batch_size: int = 64
    class_weights: Literal["none", "balanced"] = "none"
    validation_metric: Literal["accuracy", "macro_f1", "loss"] = "accuracy"

    def limits(self):
        return {**super().limits(), "batch_size": (1, None)}


@dataclasses.dataclass(frozen=True)
class TextClassificationRecipe(ClassificationRecipe):
    """How to fit a classifier of texts.

    Attributes:
        pretrain: `mlm` first fits the encoder to find hidden tokens of the
            training texts (Devlin et al., 2019, section 3.1).
        pretrain_epochs: Passes over the training texts for that.
        pretrain_learning_rate: Peak of the schedule in it.
        pretrain_dropout: The model's `dropout` in it; there is more to learn
            from than in the labels, and less to forget.
        mask_rate: Share of the tokens that are hidden in it. BERT hides
            0.15; more is as good and learns from more of them at a time
            (Wettig et al., 2023, https://arxiv.org/abs/2202.08005).
    """

    pretrain: Literal["none", "mlm"] = "none"
    pretrain_epochs: int = 10
    pretrain_learning_rate: float = 2e-3
    pretrain_dropout: float = 0.1
    mask_rate: float = 0.3

    def positive(self):
        return [*super().positive(), "pretrain_learning_rate"]

    def limits(self):
        return {
            **super().limits(),
            "pretrain_epochs": (1, None),
            "pretrain_dropout": (0, 1),
            "mask_rate": (0.01, 1),
        }


@dataclasses.dataclass(frozen=True)
class ImageClassificationRecipe(ClassificationRecipe):
    """How to fit a classifier of pictures.

    Attributes:
        crop_padding: Pixels put around a picture before a part of its size
            is cut out at random.
        flip: Whether half of the pictures are turned left to right.
        rand_augment: Number of distortions of each picture (Cubuk et al.,
            2020); 0 is none.
        rand_augment_magnitude: Their strength, 0 to 1.
        random_erasing: Share of the pictures of which a part is blanked
            (Zhong et al., 2020).
        mixup: Alpha of MixUp (Zhang et al., 2018); 0 is none.
        cutmix: Alpha of CutMix (Yun et al., 2019); 0 is none. With both, one
            or the other is drawn for each batch.
    """

    crop_padding: int = 0
    flip: bool = False
    rand_augment: int = 0
    rand_augment_magnitude: float = 0.3
    random_erasing: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0

    def limits(self):
        return {
            **super().limits(),
            "crop_padding": (0, None),
            "rand_augment": (0, None),
            "rand_augment_magnitude": (0, 1.001),
            "random_erasing": (0, 1.001),
            "mixup": (0, None),
            "cutmix": (0, None),
        }


# By the task of a model.
RECIPES = {
    "translation": TranslationRecipe,
    "text_classification": TextClassificationRecipe,
    "image_classification": ImageClassificationRecipe,
}


@dataclasses.dataclass(frozen=True)
class TranslationPreprocessing:
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
        _check_at_least(self, vocabulary_size=5, max_sequence_length=2)


@dataclasses.dataclass(frozen=True)
class TextPreprocessing:
    """How text becomes tokens.

    Attributes:
        tokenizer: `word`: words, single digits and signs; `subword`: pieces
            of words, learned by byte-pair encoding; `word_piece`: that of
            the pretrained weights in `init_from`.
        vocabulary_size: Most tokens of the vocabulary.
        lowercase: Whether text is lower-cased.
        max_sequence_length: Most tokens of a text, START and END included;
            longer texts are cut.
    """

    tokenizer: Literal["word", "subword", "word_piece"] = "subword"
    vocabulary_size: int = 8000
    lowercase: bool = False
    max_sequence_length: int = 128

    def __post_init__(self):
        _check_at_least(self, vocabulary_size=5, max_sequence_length=3)


@dataclasses.dataclass(frozen=True)
class ImagePreprocessing:
    """How pictures become inputs.

    Attributes:
        height: Pixels of the model's pictures; 0 is that of the data, where
            all have one size.
        width: Likewise.
        channels: 3, or 1 for grey; 0 is that of the data.
        interpolation: How pictures are resized.
    """

    height: int = 0
    width: int = 0
    channels: Literal[0, 1, 3] = 0
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"

    def __post_init__(self):
        _check_at_least(self, height=0, width=0)


def _check_at_least(options, **limits):
    for name, lowest in limits.items():
        if getattr(options, name) < lowest:
            raise ValueError(
                f"`{name}` must be at least {lowest}. "
                f"Received: {name}={getattr(options, name)}"
            )


# By the task of a model.
PREPROCESSING = {
    "translation": TranslationPreprocessing,
    "text_classification": TextPreprocessing,
    "image_classification": ImagePreprocessing,
}

import pytest

from training.recipe import TextClassificationRecipe
from training.recipe import TextPreprocessing
from training.recipe import TranslationPreprocessing
from training.recipe import TranslationRecipe


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0),
        ("tokens_per_batch", 0),
        ("learning_rate", 0.0),
        ("learning_rate", -1e-3),
        ("warmup_steps", -1),
        ("weight_decay", -0.1),
        ("gradient_clip_norm", -1.0),
        ("label_smoothing", 1.0),
        ("label_smoothing", -0.1),
        ("average_decay", 1.0),
        ("guided_alignment", -0.5),
        ("guided_alignment", float("nan")),
        ("weight_decay", float("inf")),
        ("learning_rate", float("nan")),
        ("learning_rate", float("inf")),
        ("early_stop_patience", -1),
        ("seed", -1),
        ("seed", 2**32),
    ],
)
def test_a_value_out_of_range_is_refused(name, value):
    with pytest.raises(ValueError, match=f"`{name}`.*Received: {name}={value}"):
        TranslationRecipe(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("pretrain_epochs", 0),
        ("pretrain_learning_rate", 0.0),
        ("pretrain_dropout", 1.0),
        ("mask_rate", 0.0),
        ("learning_rate", 0.0),
    ],
)
def test_pretraining_out_of_range_is_refused(name, value):
    with pytest.raises(ValueError, match=f"`{name}`.*Received: {name}={value}"):
        TextClassificationRecipe(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"), [("vocabulary_size", 4), ("max_sequence_length", 1)]
)
def test_preprocessing_out_of_range_is_refused(name, value):
    with pytest.raises(ValueError, match=f"Received: {name}={value}"):
        TranslationPreprocessing(**{name: value})


def test_the_ends_of_the_ranges_are_allowed():
    TranslationRecipe(
        epochs=1,
        warmup_steps=0,
        weight_decay=0.0,
        gradient_clip_norm=0.0,
        label_smoothing=0.99,
        average_decay=0.0,
        seed=2**32 - 1,
    )
    TranslationPreprocessing(vocabulary_size=5, max_sequence_length=2)
    TextPreprocessing(vocabulary_size=5, max_sequence_length=3)

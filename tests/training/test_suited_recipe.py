"""Warm-up and average of a fit that is not as the preset has it."""

import pytest

import zoo
from training.configuration import fit_parser
from training.configuration import resolve
from training.suited_recipe import suited_recipe

_OTHER = ("--preset", "bahdanau_translator_small", "--dataset", "tsv:a.tsv")


def _suited(*argv, steps):
    configuration = resolve(fit_parser(list(argv)).parse_args(list(argv)))
    return configuration.recipe, *suited_recipe(configuration, steps)


@pytest.mark.parametrize("name", zoo.list_presets())
def test_the_preset_s_own_data_change_nothing(name):
    dataset = zoo.get_preset(name).dataset
    if dataset == "images:DIR":
        return  # it has no data of its own
    recipe, suited, notes = _suited("--preset", name, steps=1)
    assert suited is recipe
    assert notes == []


@pytest.mark.parametrize(
    "options",
    [
        ("bahdanau_translator_small", "--epochs", "10"),
        ("bahdanau_translator_small", "--tokens_per_batch", "8192"),
        ("bahdanau_translator_small", "--gradient_accumulation", "2"),
        ("bahdanau_translator_tiny", "--data.num_train", "1000"),
        ("vision_transformer_tiny_digits", "--batch_size", "512"),
    ],
)
def test_fewer_updates_than_the_preset_has(options):
    recipe, suited, notes = _suited("--preset", *options, steps=10)
    updates = 10 * recipe.epochs // recipe.gradient_accumulation
    assert suited.warmup_steps == updates // 10 < recipe.warmup_steps
    assert "warmup_steps" in notes[0]
    longest = max(updates / 10, 2)
    assert suited.average_decay == min(recipe.average_decay, 1 - 1 / longest)


@pytest.mark.parametrize(
    "options",
    [
        ("--batch_size", "16", "--gradient_accumulation", "4"),
        ("--batch_size", "32", "--epochs", "4"),
        ("--batch_size", "128", "--epochs", "16"),
    ],
)
def test_as_many_updates_as_the_preset_has(options):
    recipe, suited, notes = _suited(
        "--preset", "transformer_classifier_small", *options, steps=1
    )
    assert suited is recipe
    assert notes == []


@pytest.mark.parametrize("option", ["seed", "num_test"])
def test_other_validation_and_test_data_change_nothing(option):
    recipe, suited, _ = _suited(
        *("--preset", "transformer_classifier_tiny"),
        *(f"--data.{option}", "3"),
        steps=1,
    )
    assert suited is recipe


def test_more_updates_than_the_preset_has():
    options = ("--epochs", "100", "--tokens_per_batch", "16")
    recipe, suited, notes = _suited(
        "--preset", "bahdanau_translator_small", *options, steps=1
    )
    assert suited is recipe
    assert notes == []


def test_few_steps_are_shared_out():
    # 24 epochs of 10 steps.
    recipe, suited, notes = _suited(*_OTHER, steps=10)
    assert (recipe.warmup_steps, recipe.average_decay) == (500, 0.999)
    assert suited.warmup_steps == 24
    assert suited.average_decay == pytest.approx(1 - 1 / 24)
    assert suited.learning_rate == recipe.learning_rate
    assert "warmup_steps is 24 instead of 500" in notes[0]
    assert "average_decay is 0.9583 instead of 0.999" in notes[1]
    assert all("240 updates in all" in note for note in notes)


def test_updates_are_counted_not_batches():
    options = ["--gradient_accumulation", "4"]
    _, suited, _ = _suited(*_OTHER, *options, steps=10)
    assert suited.warmup_steps == 6


def test_a_handful_of_updates_still_has_an_average():
    _, suited, _ = _suited(*_OTHER, "--epochs", "1", steps=1)
    assert suited.warmup_steps == 0
    assert suited.average_decay == 0.5


def test_many_steps_change_nothing():
    recipe, suited, notes = _suited(*_OTHER, steps=1000)
    assert suited == recipe
    assert notes == []


def test_what_was_asked_for_stays():
    options = ["--warmup_steps", "100", "--average_decay", "0.99"]
    recipe, suited, notes = _suited(*_OTHER, *options, steps=10)
    assert suited == recipe
    assert notes == []


def test_nothing_is_shorter_if_it_must_not_be():
    recipe, suited, notes = _suited(
        *_OTHER, "--shorten_warmup", "false", steps=10
    )
    assert suited is recipe
    assert notes == []

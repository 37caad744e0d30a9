"""Numbers of a preset's recipe that are too long for what is fitted."""

import dataclasses

import zoo
from training.configuration import fit_parser
from training.configuration import resolve

# Share of the updates that warm-up and memory of the average may take.
_SHARE = 0.1


def suited_recipe(configuration, steps_per_epoch):
    """The recipe, for other data or fewer updates than those of the preset.

    A preset's warm-up and moving average are for its own data, epochs and
    batches. With fewer updates the learning rate might never reach its peak,
    and the average never forget the first weights, so both are made shorter:
    at most a tenth of all updates. What differs from the preset was asked
    for, and stays; so does everything in a fit as the preset has it, and
    without `shorten_warmup`.

    Args:
        configuration: A `FitConfiguration`.
        steps_per_epoch: Number of batches of an epoch.

    Returns:
        The `Recipe`, and a list of sentences on what is shorter.
    """
    recipe = configuration.recipe
    preset = zoo.get_preset(configuration.preset)
    is_own = configuration.dataset == preset.dataset
    if not recipe.shorten_warmup or (is_own and not _is_shorter(configuration)):
        return recipe, []
    steps = steps_per_epoch * recipe.epochs
    updates = steps // recipe.gradient_accumulation
    # The average forgets in 1 / (1 - decay) updates; in 2 at the least, so
    # that there is one.
    longest = max(_SHARE * updates, 2)
    changes = {}
    for name, most in (
        ("warmup_steps", int(_SHARE * updates)),
        ("average_decay", 1 - 1 / longest),
    ):
        value = getattr(recipe, name)
        if value > most and value == _of_preset(preset, recipe, name):
            changes[name] = most
    notes = [
        f"{name} is {value:.4g} instead of {getattr(recipe, name)}: there are "
        f"{updates:,} updates in all"
        for name, value in changes.items()
    ]
    return dataclasses.replace(recipe, **changes), notes


def _is_shorter(configuration):
    """Whether a fit of the preset's data set has fewer updates than the
    preset."""
    argv = ["--preset", configuration.preset]
    own = resolve(fit_parser(argv).parse_args(argv))
    return _updates(configuration) < _updates(own)


def _updates(configuration):
    """A number that grows with the updates of a fit of one data set."""
    recipe = configuration.recipe
    batch = getattr(recipe, "batch_size", None) or recipe.tokens_per_batch
    examples = configuration.data.get("num_train") or 1
    return examples * recipe.epochs / (batch * recipe.gradient_accumulation)


def _of_preset(preset, recipe, name):
    defaults = {
        field.name: field.default for field in dataclasses.fields(recipe)
    }
    return preset.recipe.get(name, defaults[name])

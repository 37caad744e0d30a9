"""Numbers of a preset's recipe that are too long for a user's data."""

import dataclasses

import zoo

# Share of the updates that warm-up and memory of the average may take.
_SHARE = 0.1


def suited_recipe(configuration, steps_per_epoch):
    """The recipe, for data that are not those of the preset.

    A preset's warm-up and moving average are for its own data. With fewer
    updates the learning rate might never reach its peak, and the average
    never forget the first weights, so both are made shorter: at most a tenth
    of all updates. What differs from the preset was asked for, and stays; so
    does everything on the preset's own data.

    Args:
        configuration: A `FitConfiguration`.
        steps_per_epoch: Number of batches of an epoch.

    Returns:
        The `Recipe`, and a list of sentences on what is shorter.
    """
    recipe = configuration.recipe
    preset = zoo.get_preset(configuration.preset)
    if configuration.dataset == preset.dataset:
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


def _of_preset(preset, recipe, name):
    defaults = {
        field.name: field.default for field in dataclasses.fields(recipe)
    }
    return preset.recipe.get(name, defaults[name])

"""AdamW by the recipe."""

import contextlib

import keras

from training.schedules import WarmupSchedule


def make_optimizer(recipe, total_steps):
    """AdamW with its schedule, clipping, accumulation and averaging.

    Args:
        recipe: The `Recipe`.
        total_steps: Number of batches of the whole fit.
    """
    accumulated = recipe.gradient_accumulation
    # The average moves after every batch, also where the weights do not.
    average_decay = recipe.average_decay ** (1 / accumulated)
    optimizer = keras.optimizers.AdamW(
        learning_rate=WarmupSchedule(
            recipe.learning_rate,
            recipe.warmup_steps,
            total_steps // accumulated,
            recipe.schedule,
        ),
        weight_decay=recipe.weight_decay,
        beta_2=0.98,
        epsilon=1e-9,
        global_clipnorm=recipe.gradient_clip_norm or None,
        use_ema=recipe.average_decay > 0,
        ema_momentum=average_decay or 0.99,
        gradient_accumulation_steps=accumulated if accumulated > 1 else None,
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


@contextlib.contextmanager
def averaged_weights(model):
    """Inside, the model has the moving averages as its weights."""
    # With float16 it is wrapped in one that scales the loss.
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    if not optimizer.use_ema:
        yield
        return
    own = [variable.numpy() for variable in model.trainable_variables]
    optimizer.finalize_variable_values(model.trainable_variables)
    try:
        yield
    finally:
        for variable, value in zip(model.trainable_variables, own):
            variable.assign(value)

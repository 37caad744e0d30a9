"""Learning rates over the steps of a training."""

import keras
from keras import ops

SCHEDULES = ("constant", "cosine", "inverse_square_root")


@keras.saving.register_keras_serializable(package="attention_zoo")
class WarmupSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up, then a constant, a cosine or an inverse square root.

    Args:
        peak: The learning rate at the end of the warm-up.
        warmup_steps: Steps of the warm-up.
        total_steps: Steps of the training, where the cosine ends at 0.
        schedule: `"constant"`, `"cosine"` (Loshchilov and Hutter, 2017) or
            `"inverse_square_root"` (Vaswani et al., 2017, equation 3).

    Raises:
        ValueError: If `schedule` is unknown.
    """

    def __init__(self, peak, warmup_steps, total_steps, schedule="constant"):
        super().__init__()
        if schedule not in SCHEDULES:
            raise ValueError(
                f"`schedule` must be one of {', '.join(SCHEDULES)}. "
                f"Received: schedule={schedule}"
            )
        self.peak = peak
        self.warmup_steps = warmup_steps
        self.total_steps = total_steps
        self.schedule = schedule

    def __call__(self, step):
        step = ops.cast(step, "float32") + 1.0
        warmup = float(max(self.warmup_steps, 1))
        rising = step / warmup
        if self.schedule == "cosine":
            rest = max(self.total_steps - warmup, 1.0)
            progress = ops.clip((step - warmup) / rest, 0.0, 1.0)
            falling = 0.5 * (1.0 + ops.cos(3.14159265 * progress))
        elif self.schedule == "inverse_square_root":
            falling = ops.sqrt(warmup / step)
        else:
            falling = ops.ones_like(step)
        return self.peak * ops.where(step < warmup, rising, falling)

    def get_config(self):
        return {
            "peak": self.peak,
            "warmup_steps": self.warmup_steps,
            "total_steps": self.total_steps,
            "schedule": self.schedule,
        }

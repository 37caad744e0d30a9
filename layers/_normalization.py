"""Normalisations that can stand for one another.

    y = gamma * (x - mean) / sqrt(variance + epsilon) + beta

They differ in the numbers that share a mean and a variance (Wu and He, 2018,
https://arxiv.org/abs/1803.08494, figure 2):

    kind      sequence (B, T, D)         feature map (B, H, W, C)
    batch     all positions and samples  all positions and samples
    layer     one position               one sample
    group     one position, some D       one sample, some C
    instance  -                          one sample, one C
    rms       as layer, with a mean of 0 and no beta

On sequences each position is by itself, so that neither padding nor the
future leaks into it.
"""

import keras
from keras import ops

from layers import masks

KINDS = ("layer", "rms", "batch", "instance", "group")
AXES = ("sequence", "feature_map")


def make_normalization(
    kind,
    axis_of="sequence",
    epsilon=1e-6,
    num_groups=32,
    causal=False,
    name=None,
    dtype=None,
):
    """A layer for a kind of normalisation, called in one way for all kinds.

        y = normalization(x, mask=mask, training=training)

    Args:
        kind: "layer", "rms", "batch", "instance" or "group".
        axis_of: "sequence" for `(B, ..., D)` whose positions stay apart, or
            "feature_map" for `(B, H, W, C)`.
        epsilon: Added to the variance.
        num_groups: Number of groups of features, for "group".
        causal: Whether a position must not know of later ones.
        name, dtype: As in `keras.layers.Layer`.

    Raises:
        ValueError: If `kind` or `axis_of` is another, or positions would mix
            where they must not.
    """
    _check(kind, axis_of, causal)
    options = {"epsilon": epsilon, "name": name, "dtype": dtype}
    if kind == "batch":
        return BatchNormalization(**options)
    groups = {"group": num_groups, "instance": None}
    return SampleNormalization(
        num_groups=groups.get(kind, 1),
        across_positions=axis_of == "feature_map",
        center=kind != "rms",
        **options,
    )


def _check(kind, axis_of, causal):
    given = f"Received: kind={kind}, axis_of={axis_of}, causal={causal}"
    if kind not in KINDS or axis_of not in AXES:
        raise ValueError(
            f"`kind` must be one of {', '.join(KINDS)}, and `axis_of` one of "
            f"{', '.join(AXES)}. {given}"
        )
    if kind == "instance" and axis_of == "sequence":
        raise ValueError(
            "Instance normalisation would mix the positions of a sequence; "
            f"it is for feature maps. {given}"
        )
    if causal and (kind == "batch" or axis_of == "feature_map"):
        raise ValueError(
            f"A causal layer cannot take statistics over positions. {given}"
        )


@keras.saving.register_keras_serializable(package="attention_zoo")
class BatchNormalization(keras.layers.BatchNormalization):
    """`keras.layers.BatchNormalization`, with a mask that must be boolean.

    In training the statistics are those of the batch, without masked
    positions; at inference their moving averages ([Ioffe and Szegedy, 2015](
    https://arxiv.org/abs/1502.03167), algorithms 1 and 2).
    """

    def call(self, inputs, mask=None, training=None):
        mask = masks.check_mask(mask, "mask")
        return super().call(inputs, mask=mask, training=training)


@keras.saving.register_keras_serializable(package="attention_zoo")
class SampleNormalization(keras.layers.Layer):
    """Normalisation by the statistics of one sample, or of one position.

    Statistics are float32 or wider under every precision policy, and gamma
    and beta have one number for each feature.

    Args:
        num_groups: Number of groups of features; None is one for each.
        across_positions: Whether positions of a sample share statistics.
        center: Whether the mean is subtracted and beta added.
        epsilon: Added to the variance.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: `(batch_size, ..., dim)`.
        mask, training: Change nothing, since positions and samples do not
            mix. A mask is refused where positions do.

    Returns:
        A tensor of the shape of `inputs`.

    Raises:
        ValueError: If `num_groups` does not divide `dim`.

    References:
        layer: [Ba et al., 2016](https://arxiv.org/abs/1607.06450);
        instance: [Ulyanov et al., 2016](https://arxiv.org/abs/1607.08022);
        group: [Wu and He, 2018](https://arxiv.org/abs/1803.08494);
        rms: [Zhang and Sennrich, 2019](https://arxiv.org/abs/1910.07467).
    """

    def __init__(
        self,
        num_groups=1,
        across_positions=False,
        center=True,
        epsilon=1e-6,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.num_groups = num_groups
        self.across_positions = across_positions
        self.center = center
        self.epsilon = epsilon
        self.supports_masking = True
        axes = {"ndim": 4} if across_positions else {"min_ndim": 2}
        self.input_spec = keras.layers.InputSpec(**axes)
        self.autocast = False  # statistics are those of unrounded inputs

    def build(self, inputs_shape):
        dim = inputs_shape[-1]
        num_groups = dim if self.num_groups is None else self.num_groups
        if num_groups < 1 or dim % num_groups:
            raise ValueError(
                "`num_groups` must divide the number of features. "
                f"Received: num_groups={self.num_groups}, dim={dim}"
            )
        self.gamma = self.add_weight(
            shape=(dim,), initializer="ones", name="gamma", autocast=False
        )
        if self.center:
            self.beta = self.add_weight(
                shape=(dim,), initializer="zeros", name="beta", autocast=False
            )

    def call(self, inputs, mask=None, training=None):
        if mask is not None and self.across_positions:
            raise ValueError(
                "Statistics over all positions of a sample cannot leave out "
                f"masked ones. Received: mask={mask}"
            )
        dtype = keras.backend.result_type(self.compute_dtype, "float32")
        dim, sizes = inputs.shape[-1], ops.shape(inputs)
        num_groups = dim if self.num_groups is None else self.num_groups
        # The features of a group on an axis of their own.
        outputs = ops.reshape(
            ops.cast(inputs, dtype),
            (*sizes[:-1], num_groups, dim // num_groups),
        )
        axes = (1, 2, -1) if self.across_positions else -1
        if self.center:
            outputs = outputs - ops.mean(outputs, axis=axes, keepdims=True)
        variance = ops.mean(ops.square(outputs), axis=axes, keepdims=True)
        outputs = outputs * ops.rsqrt(variance + self.epsilon)
        outputs = ops.reshape(outputs, sizes) * ops.cast(self.gamma, dtype)
        if self.center:
            outputs = outputs + ops.cast(self.beta, dtype)
        return ops.cast(outputs, self.compute_dtype)

    def compute_output_shape(self, inputs_shape):
        return inputs_shape

    def get_config(self):
        config = super().get_config()
        config.update(
            {
                "num_groups": self.num_groups,
                "across_positions": self.across_positions,
                "center": self.center,
                "epsilon": self.epsilon,
            }
        )
        return config

"""Pictures as sequences of patches that see past their borders."""

import keras
from keras import ops

from layers._normalization import make_normalization
from layers.patch_embedding import PatchEmbedding


@keras.saving.register_keras_serializable(package="attention_zoo")
class ShiftedPatchEmbedding(PatchEmbedding):
    """Patches of a picture and of four shifted copies of it (Lee).

        z_p = norm([x_p; s1_p; s2_p; s3_p; s4_p]) E + b

    The copies are moved by half a patch along the four diagonals, left-up,
    right-up, left-down and right-down, and are 0 where there is no picture.
    So a vector tells of the surroundings of its patch too, which helps where
    there are few pictures to learn that from. The norm is layer
    normalisation.

    Args:
        patch_size: Side of a patch in pixels, or `(height, width)`, at
            least 2.
        hidden_dim: Width of the vectors.
        epsilon: Added to the variance in the normalisation.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        images: `(batch_size, height, width, channels)`; height and width are
            multiples of those of a patch.

    Returns:
        `(batch_size, rows * columns, hidden_dim)`, with as many rows and
        columns as patches fit.

    Raises:
        ValueError: If a patch has no half, or the size of the pictures is
            known and no multiple of that of a patch.

    Example:

    >>> patches = ShiftedPatchEmbedding(patch_size=4, hidden_dim=96)(images)

    Reference:
        [Lee et al., 2021](https://arxiv.org/abs/2112.13492), section 3.1.
    """

    def __init__(self, patch_size, hidden_dim, epsilon=1e-6, **kwargs):
        super().__init__(patch_size, hidden_dim, **kwargs)
        if min(self._patch_shape()) < 2:
            raise ValueError(
                "`patch_size` must be at least 2, to be shifted by half. "
                f"Received: patch_size={patch_size}"
            )
        self.epsilon = epsilon
        self.normalization = make_normalization(
            "layer",
            epsilon=epsilon,
            name="normalization",
            dtype=self.dtype_policy,
        )

    def build(self, images_shape):
        *sizes, channels = images_shape
        super().build((*sizes, 5 * channels))
        self.normalization.build((None, self.kernel.shape[0]))

    def cut(self, images):
        down, across = (size // 2 for size in self._patch_shape())
        margins = [(0, 0), (down, down), (across, across), (0, 0)]
        padded = ops.pad(images, margins)
        up, lowered = padded[:, 2 * down :], padded[:, : -2 * down]
        copies = [
            part[:, :, columns]
            for part in (up, lowered)
            for columns in (
                slice(2 * across, None),
                slice(None, -2 * across),
            )
        ]
        # The copies are more channels of the picture.
        stacked = ops.concatenate([images, *copies], axis=-1)
        return self.normalization(super().cut(stacked))

    def get_config(self):
        return {**super().get_config(), "epsilon": self.epsilon}

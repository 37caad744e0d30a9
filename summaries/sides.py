"""What stands along one axis of the scores: tokens, patches, summaries."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from summaries.pictures import as_pixels


@dataclasses.dataclass(frozen=True, eq=False)
class Side:
    """The tokens that stand along one axis of the scores.

    Attributes:
        tokens: For each sample the list of its tokens, strings or bytes,
            without padding.
        mask: Boolean `(batch_size, length)`, True = a real token, from the
            token ids (`ids != 0`). By default a sample's tokens are real and
            whatever comes after them is padding.
    """

    tokens: Sequence[Sequence[str]]
    mask: np.ndarray | None = None

    def __post_init__(self):
        tokens = [[_as_text(token) for token in row] for row in self.tokens]
        object.__setattr__(self, "tokens", tokens)
        if self.mask is None:
            return
        mask = np.asarray(self.mask)
        longest = max(map(len, tokens), default=0)
        if (
            mask.dtype != bool
            or mask.ndim != 2
            or len(mask) != len(tokens)
            or mask.shape[1] < longest
        ):
            raise ValueError(
                "`mask` must be boolean with the shape (batch_size, length), "
                f"here ({len(tokens)}, {longest} or more). Received: "
                f"mask.dtype={mask.dtype}, mask.shape={mask.shape}"
            )
        object.__setattr__(self, "mask", mask)

    def mask_of(self, batch_size, length, layer):
        """The mask for an axis of this length in the scores of `layer`.

        Raises:
            ValueError: If the side has other samples or another length.
        """
        mask = self.mask
        if mask is None:
            counts = np.array([len(row) for row in self.tokens], int)
            mask = (
                np.arange(max(length, counts.max(initial=0))) < counts[:, None]
            )
        if mask.shape != (batch_size, length):
            raise ValueError(
                f"The scores of the layer {layer!r} have {batch_size} samples "
                f"and the length {length} where this side has the shape "
                f"{mask.shape}. Received: tokens={self.tokens[:1]}..."
            )
        return mask

    def labels_of(self, sample, length):
        """What to write along an axis of this length for a sample."""
        return self.tokens[sample]

    def places_of(self, sample, length):
        """Where along such an axis the tokens of a sample stand."""
        count = len(self.tokens[sample])
        if self.mask is not None:
            real = np.flatnonzero(self.mask[sample])
            if len(real) == count:  # also with padding in front
                return real
        return np.arange(count)


def _as_text(token):
    if isinstance(token, bytes):
        return token.decode(errors="replace")
    if not isinstance(token, str):
        raise TypeError(
            "`tokens` must be lists of strings, one list for each sample. "
            f"Received: token={token!r}"
        )
    return token


@dataclasses.dataclass(frozen=True, eq=False)
class PatchSide:
    """The patches of pictures that stand along one axis of the scores.

    Attributes:
        images: The pictures, before any normalisation: grey or coloured,
            uint8 or floating point from 0 to 1,
            `(batch_size, height, width, channels)`, or a list of pictures of
            any sizes. They are kept as `(height, width, 3)`, uint8.
        grid_shape: `(rows, columns)` of the patches, which stand last in the
            sequence, row by row.
        num_prefix_tokens: Number of tokens in front of the patches, of which
            a class token is the first.

    Raises:
        ValueError: If a picture has another shape, type or range.

    Example:

    >>> side = PatchSide(images, (14, 14), num_prefix_tokens=1)
    >>> samples = AttentionSamples(normalised_images, {"image": side})
    """

    images: Sequence[np.ndarray]
    grid_shape: tuple[int, int]
    num_prefix_tokens: int = 0

    def __post_init__(self):
        images = [as_pixels(image) for image in self.images]
        object.__setattr__(self, "images", images)
        rows, columns = (int(size) for size in self.grid_shape)
        if min(rows, columns) < 1 or self.num_prefix_tokens < 0:
            raise ValueError(
                "There must be one patch or more, and no negative number of "
                f"tokens in front. Received: grid_shape={self.grid_shape}, "
                f"num_prefix_tokens={self.num_prefix_tokens}"
            )
        object.__setattr__(self, "grid_shape", (rows, columns))

    @property
    def length(self):
        """Number of patches and of the tokens in front of them."""
        rows, columns = self.grid_shape
        return self.num_prefix_tokens + rows * columns

    def mask_of(self, batch_size, length, layer):
        """The mask for an axis of this length in the scores of `layer`.

        Raises:
            ValueError: If the side has other samples or another length.
        """
        shape = (len(self.images), self.length)
        if shape != (batch_size, length):
            raise ValueError(
                f"The scores of the layer {layer!r} have {batch_size} samples "
                f"and the length {length} where this side has the shape "
                f"{shape}. Received: len(images)={len(self.images)}, "
                f"grid_shape={self.grid_shape}, "
                f"num_prefix_tokens={self.num_prefix_tokens}"
            )
        return np.ones(shape, bool)

    def labels_of(self, sample, length):
        """What to write along an axis of this length for a sample."""
        rows, columns = self.grid_shape
        before = [f"token {n}" for n in range(self.num_prefix_tokens)]
        patches = [f"{r}, {c}" for r in range(rows) for c in range(columns)]
        return before + patches

    def places_of(self, sample, length):
        """Where along such an axis the tokens of a sample stand."""
        return np.arange(self.length)


@dataclasses.dataclass(frozen=True)
class PooledSide:
    """The learned queries of a pooling, one or more, for every sample."""

    def mask_of(self, batch_size, length, layer):
        """The mask for an axis of this length: all of it is real."""
        return np.ones((batch_size, length), bool)

    def labels_of(self, sample, length):
        """What to write along an axis of this length for a sample."""
        if length == 1:
            return ["pooled"]
        return [f"pooled {number}" for number in range(length)]

    def places_of(self, sample, length):
        """Where along such an axis the tokens of a sample stand."""
        return np.arange(length)

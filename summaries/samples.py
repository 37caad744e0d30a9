"""What the attention is looked at on: a few samples and their tokens."""

import dataclasses
import fnmatch
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np

# Which side asks and which is looked at, by the name of the layer. The first
# pattern that fits decides.
DEFAULT_LAYER_SIDES = {
    "*cross*": ("target", "source"),
    "*encoder*": ("source", "source"),
    "*self*": ("target", "target"),
    "*": ("target", "source"),
}


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
class AttentionSamples:
    """A fixed set of samples on which a model's attention is watched.

    Example, a translator:

    >>> samples = AttentionSamples(
    ...     inputs={"source": source_ids, "target": target_ids},
    ...     sides={
    ...         "source": Side(source_tokens, source_ids != 0),
    ...         "target": Side(target_tokens, target_ids != 0),
    ...     },
    ... )

    A classifier has one side, which every layer then has on both its axes:

    >>> samples = AttentionSamples(ids, {"text": Side(tokens, ids != 0)})

    Attributes:
        inputs: What the model is called on.
        sides: `{name: Side}`.
        layer_sides: `{pattern of layer names: (query side, key side)}`, with
            `*` and `?` as in file names; the first that fits decides. What
            no pattern fits goes by `DEFAULT_LAYER_SIDES`, where the sides
            are called `source` and `target`.
    """

    inputs: Any
    sides: Mapping[str, Side]
    layer_sides: Mapping[str, tuple[str, str]] = dataclasses.field(
        default_factory=dict
    )

    def __post_init__(self):
        if not self.sides:
            raise ValueError(
                "`sides` must have at least one side. "
                f"Received: sides={self.sides}"
            )
        for pattern, names in self.layer_sides.items():
            if len(names) != 2 or any(name not in self.sides for name in names):
                raise ValueError(
                    "`layer_sides` must give two of the sides "
                    f"{', '.join(self.sides)} for each pattern. "
                    f"Received: layer_sides[{pattern!r}]={names}"
                )

    def sides_of(self, layer):
        """The `(query side, key side)` of a layer.

        Raises:
            ValueError: If nothing says what its sides are.
        """
        if len(self.sides) == 1:
            (side,) = self.sides.values()
            return side, side
        for patterns in (self.layer_sides, DEFAULT_LAYER_SIDES):
            for pattern, names in patterns.items():
                if fnmatch.fnmatchcase(layer, pattern) and all(
                    name in self.sides for name in names
                ):
                    return tuple(self.sides[name] for name in names)
        raise ValueError(
            f"`layer_sides` must say which of {', '.join(self.sides)} stand "
            f"on the axes of the layer. Received: layer={layer!r}"
        )

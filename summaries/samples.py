"""What the attention is looked at on: a few samples and their sides."""

import dataclasses
import fnmatch
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from summaries.sides import PatchSide
from summaries.sides import PooledSide
from summaries.sides import Side

# Stands for the queries of a pooling; no sample has to bring it.
POOLED = "pooled"

# Which side asks and which is looked at, by the name of the layer. The first
# pattern that fits decides.
DEFAULT_LAYER_SIDES = {
    "*pooling": (POOLED, "source"),
    "*pooling_[0-9]*": (POOLED, "source"),
    "*cross*": ("target", "source"),
    "*encoder*": ("source", "source"),
    "*self*": ("target", "target"),
    "*": ("target", "source"),
}


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

    A classifier has one side, which every layer then has on both its axes,
    but for a layer called `pooling`, whose queries are its own:

    >>> samples = AttentionSamples(ids, {"text": Side(tokens, ids != 0)})
    >>> samples = AttentionSamples(
    ...     normalised_images, {"image": PatchSide(images, (14, 14), 1)}
    ... )

    Attributes:
        inputs: What the model is called on.
        sides: `{name: Side or PatchSide}`.
        layer_sides: `{pattern of layer names: (query side, key side)}`, with
            `*` and `?` as in file names; the first that fits decides. The
            query side `"pooled"` stands for the queries of a pooling. What
            no pattern fits goes by `DEFAULT_LAYER_SIDES`, where the sides
            are called `source` and `target`.
        alignments: For each sample the gold alignment of its tokens, pairs
            `(target, source)` counted from 0, where it is known; the
            Attention tab shows it over cross-attention.
    """

    inputs: Any
    sides: Mapping[str, Side | PatchSide]
    layer_sides: Mapping[str, tuple[str, str]] = dataclasses.field(
        default_factory=dict
    )
    alignments: Sequence[Sequence[tuple[int, int]]] | None = None

    def __post_init__(self):
        if not self.sides:
            raise ValueError(
                "`sides` must have at least one side. "
                f"Received: sides={self.sides}"
            )
        for pattern, names in self.layer_sides.items():
            if (
                len(names) != 2
                or names[0] not in {POOLED, *self.sides}
                or names[1] not in self.sides
            ):
                raise ValueError(
                    "`layer_sides` must give two of the sides "
                    f"{', '.join(self.sides)} for each pattern, or "
                    f"{POOLED!r} and one of them. "
                    f"Received: layer_sides[{pattern!r}]={names}"
                )

    def sides_of(self, layer):
        """The `(query side, key side)` of a layer.

        Raises:
            ValueError: If nothing says what its sides are.
        """
        for patterns in (self.layer_sides, DEFAULT_LAYER_SIDES):
            for pattern, names in patterns.items():
                if fnmatch.fnmatchcase(layer, pattern):
                    query, key = map(self._side, names)
                    if query and key:
                        return query, key
        raise ValueError(
            f"`layer_sides` must say which of {', '.join(self.sides)} stand "
            f"on the axes of the layer. Received: layer={layer!r}"
        )

    def _side(self, name):
        """The side of this name, or the only one; None if there is none."""
        if name not in self.sides:
            if name == POOLED:
                return PooledSide()
            if len(self.sides) == 1:
                (side,) = self.sides.values()
                return side
        return self.sides.get(name)

"""Dropout of attention weights that are computed in blocks."""

import dataclasses
from typing import Any

from keras import ops

from layers._random_bits import random_fractions


@dataclasses.dataclass(frozen=True)
class BlockDropout:
    """Dropout of the weights, the same whatever the blocks.

    Attributes:
        rate: Fraction of the weights to drop.
        seed: What `draw_seed` gave.
        lengths: T and S of the whole call, whose places are counted.
        first_query, first_key: Where this part of the call begins.
    """

    rate: float
    seed: Any
    lengths: tuple
    first_query: Any = 0
    first_key: Any = 0

    def __call__(self, weights, row, first):
        """Drop in `(t, S)`: row `row` of B x N, queries from `first` on."""
        query_length, key_length = self.lengths
        first = row * query_length + self.first_query + first
        kept = random_fractions(
            ops.shape(weights),
            self.seed,
            first=(first, self.first_key),
            row_length=key_length,
        )
        kept = kept >= self.rate
        return ops.where(kept, weights / (1.0 - self.rate), 0.0)

"""All masks of a call: the one place where they meet.

Axes: B batch, N heads, T query length, S key length.
"""

import functools
from typing import Any
from typing import NamedTuple

from keras import ops

from layers._call_contract import may_equal
from layers.masks import check_mask
from layers.masks import distance_to
from layers.masks import four_axes


class Masks(NamedTuple):
    """All masks of a call, joined by AND, not yet spread over all pairs.

    Attributes:
        query_mask: `(batch_size, query_length)`. A False row attends to
            nothing.
        key_mask: `(batch_size, key_length)`.
        attention_mask: Of four axes, each that of the scores or 1.
        use_causal_mask: Whether a query sees only the keys up to its own
            position.
        window_size: Farthest distance between the positions of a query and a
            key that it sees (Beltagy et al., 2020,
            https://arxiv.org/abs/2004.05150); None is any.
        length: Keys there are, a scalar, where those after it are the empty
            part of a cache; None is all.
        offset: Position of the first query where that of the first key is 0;
            None is `key_length - query_length`, so that the last query
            stands at the last key.
    """

    query_mask: Any = None
    key_mask: Any = None
    attention_mask: Any = None
    use_causal_mask: bool = False
    window_size: int | None = None
    length: Any = None
    offset: Any = None

    def whole(self, query_length, key_length):
        """All masks as one.

        Args:
            query_length: T, an integer or a scalar tensor.
            key_length: S, an integer or a scalar tensor.

        Returns:
            A boolean tensor that broadcasts to `(B, N, T, S)`, or None if
            everything is allowed.
        """
        parts = [self.attention_mask]
        if self.key_mask is not None:
            parts.append(self.key_mask[:, None, None, :])
        if self.query_mask is not None:
            parts.append(self.query_mask[:, None, :, None])
        parts.append(
            self._by_position(0, query_length, query_length, key_length)
        )
        return _all(parts)

    def tile(self, row, head, first, count, query_length, key_length):
        """The mask of some queries of one head of one row of the batch.

        Args:
            row, head: Scalar indices.
            first: The first query, a scalar.
            count: How many queries, an integer. Rows after the last query
                are masked or repeat others.
            query_length, key_length: T and S.

        Returns:
            A boolean tensor that broadcasts to `(count, S)`, or None.
        """
        last = ops.maximum(query_length - 1, 0)
        rows = ops.minimum(first + ops.arange(count, dtype="int32"), last)
        parts = [self._by_position(first, count, query_length, key_length)]
        if self.attention_mask is not None:
            batch_size, num_heads, num_rows, _ = self.attention_mask.shape
            pairs = self.attention_mask
            pairs = ops.take(pairs, 0 if batch_size == 1 else row, axis=0)
            pairs = ops.take(pairs, 0 if num_heads == 1 else head, axis=0)
            rows_of_pairs = ops.zeros_like(rows) if num_rows == 1 else rows
            parts.append(ops.take(pairs, rows_of_pairs, axis=0))
        if self.key_mask is not None:
            parts.append(ops.take(self.key_mask, row, axis=0)[None, :])
        if self.query_mask is not None:
            queries = ops.take(self.query_mask, row, axis=0)
            parts.append(ops.take(queries, rows, axis=0)[:, None])
        return _all(parts)

    def check_sizes(self, batch_size, num_heads, query_length, key_length):
        """See that each mask has the sizes of the call, where known.

        Raises:
            ValueError: If one has not.
        """
        full = (batch_size, num_heads, query_length, key_length)
        for name, mask, expected in (
            ("query_mask", self.query_mask, (full[0], full[2])),
            ("value_mask or key_mask", self.key_mask, (full[0], full[3])),
            ("attention_mask", self.attention_mask, full),
        ):
            if mask is None:
                continue
            for own, wanted in zip(mask.shape, expected):
                spread = name == "attention_mask" and own == 1
                if not (spread or may_equal(own, wanted)):
                    raise ValueError(
                        f"`{name}` does not fit the call, whose sizes are "
                        f"{expected}. Received: shape={tuple(mask.shape)}"
                    )

    def first_position(self, query_length, key_length):
        """Position of the first query, a scalar."""
        if self.offset is not None:
            return self.offset
        length = key_length if self.length is None else self.length
        return length - query_length

    def part(self, queries, keys, query_length, key_length):
        """The masks of some queries and keys in a row.

        Args:
            queries, keys: Slices with a start and a stop.
            query_length, key_length: T and S.
        """
        cut_masks = {}
        if self.query_mask is not None:
            cut_masks["query_mask"] = self.query_mask[:, queries]
        if self.key_mask is not None:
            cut_masks["key_mask"] = self.key_mask[:, keys]
        if self.attention_mask is not None:
            mask = self.attention_mask
            rows = queries if mask.shape[2] != 1 else slice(None)
            columns = keys if mask.shape[3] != 1 else slice(None)
            cut_masks["attention_mask"] = mask[:, :, rows, columns]
        offset = self.first_position(query_length, key_length)
        return self._replace(
            **cut_masks, offset=offset + queries.start - keys.start
        )

    def _by_position(self, first, count, query_length, key_length):
        """Causal mask, window and end of the cache: `(count, S)` or None."""
        parts = []
        if self.use_causal_mask or self.window_size is not None:
            offset = self.first_position(query_length, key_length)
            distance = distance_to(offset + first, count, key_length)
            if self.use_causal_mask:
                parts.append(distance <= 0)
            if self.window_size is not None:
                parts.append(ops.abs(distance) <= self.window_size)
        if self.length is not None:
            places = ops.arange(key_length, dtype="int32")
            parts.append((places < self.length)[None, :])
        return _all(parts)


def _all(parts):
    parts = [part for part in parts if part is not None]
    return functools.reduce(ops.logical_and, parts) if parts else None


def collect_masks(
    *,
    query_mask=None,
    value_mask=None,
    key_mask=None,
    attention_mask=None,
    use_causal_mask=False,
    window_size=None,
    length=None,
):
    """Check the masks of a call.

    Args:
        query_mask, use_causal_mask, window_size, length: As in `Masks`.
        value_mask, key_mask: `(batch_size, key_length)`, joined by AND.
        attention_mask: `(T, S)`, `(B, T, S)` or `(B, N, T, S)`.

    Raises:
        ValueError: If a mask is not boolean or has another rank.
    """
    columns = []
    for name, mask in (("value_mask", value_mask), ("key_mask", key_mask)):
        columns.append(check_mask(mask, name, rank=2))
    attention_mask = check_mask(attention_mask, "attention_mask")
    if attention_mask is not None:
        attention_mask = four_axes(attention_mask)
    return Masks(
        query_mask=check_mask(query_mask, "query_mask", rank=2),
        key_mask=_all(columns),
        attention_mask=attention_mask,
        use_causal_mask=use_causal_mask,
        window_size=window_size,
        length=length,
    )

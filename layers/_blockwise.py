"""Attention in memory that grows with the length, not with its square.

The scores of some queries at a time are computed, used and forgotten; for the
gradient they are computed again from the logarithm of each row's sum (Rabe
and Staats, 2021, https://arxiv.org/abs/2112.05682; Dao et al., 2022,
https://arxiv.org/abs/2205.14135).

Axes: B batch, N heads, K heads of keys and values (N is a multiple of K),
T queries, S keys, H features of a query and a key, D of a value; t the
queries of a block.
"""

import dataclasses
from typing import Any

import keras
from keras import ops

from layers._random_bits import random_fractions
from layers._recurrence import stacking_loop
from layers.masks import EXCLUDED

# Above any logarithm of a sum: exp(score - EMPTY) is 0.
EMPTY = -EXCLUDED


@dataclasses.dataclass(frozen=True)
class Dropout:
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


def attend_in_blocks(
    score, query, key, value, weights, given, block_length, dropout=None
):
    """Context of a query-key attention.

    Args:
        score: Has `logits(query (t, H), key (S, H), *weights)`, which gives
            logits `(t, S)` and what `gradient(at_logits, kept, query, key,
            *weights)` needs of it, which gives the gradients of query, key
            and the tuple of weights.
        query: `(B, N, T, H)`.
        key: `(B, K, S, H)`.
        value: `(B, K, S, D)`.
        weights: Tuple of the tensors that `score` needs.
        given: `masks.Masks`.
        block_length: How many queries at a time.
        dropout: `Dropout` or None.

    Returns:
        `(B, N, T, D)`.
    """

    @ops.custom_gradient
    def attend(query, key, value, *weights):
        blocks = _Blocks(
            score, query, key, value, weights, given, block_length, dropout
        )
        context, sums = blocks.forward()

        def gradient(*arguments, upstream=None):
            # TensorFlow passes it as an argument, JAX and torch by name.
            upstream = arguments[0] if upstream is None else upstream
            return blocks.backward(context, sums, upstream)

        return context, gradient

    return attend(query, key, value, *weights)


class _Blocks:
    """The two loops over the groups of heads that share keys and values, and
    in each over the blocks of the queries of all its heads."""

    def __init__(
        self, score, query, key, value, weights, given, block_length, dropout
    ):
        self.score, self.weights = score, weights
        self.given, self.dropout = given, dropout
        self.batch_size, self.num_heads, self.query_length = ops.shape(query)[
            :3
        ]
        self.num_groups, self.key_length = ops.shape(key)[1:3]
        self.shared_by = self.num_heads // self.num_groups
        self.block_length = block_length
        self.num_blocks = -(-self.query_length // block_length)
        self.query = self._group(query)
        # (B * K, S, H) and (B * K, S, D)
        self.key = _merge(key)
        self.value = _merge(value)
        self.wide = keras.backend.result_type(query.dtype, "float32")

    def _group(self, tensor):
        """`(B, N, T, F)` -> `(B * K, N / K * blocks, t, F)`."""
        padding = self.num_blocks * self.block_length - self.query_length
        tensor = ops.pad(tensor, [(0, 0), (0, 0), (0, padding), (0, 0)])
        return ops.reshape(
            tensor,
            (
                self.batch_size * self.num_groups,
                self.shared_by * self.num_blocks,
                self.block_length,
                tensor.shape[-1],
            ),
        )

    def _ungroup(self, tensor):
        """Back to `(B, N, T, F)`."""
        tensor = ops.reshape(
            tensor,
            (
                self.batch_size,
                self.num_heads,
                self.num_blocks * self.block_length,
                tensor.shape[-1],
            ),
        )
        return tensor[:, :, : self.query_length]

    def _logits(self, group, block, query, key):
        """Masked logits `(t, S)`, what the score keeps for the gradient, and
        where they stand: row of B x N and first query."""
        head = group % self.num_groups * self.shared_by
        head = head + block // self.num_blocks
        row = group // self.num_groups
        first = block % self.num_blocks * self.block_length
        logits, kept = self.score.logits(query, key, *self.weights)
        logits = ops.cast(logits, self.wide)
        mask = self.given.tile(
            row,
            head,
            first,
            self.block_length,
            self.query_length,
            self.key_length,
        )
        if mask is not None:
            logits = ops.where(mask, logits, EXCLUDED)
        return logits, kept, (row * self.num_heads + head, first)

    def forward(self):
        """The context `(B, N, T, D)`, and of each row of scores the logarithm
        of the sum, `(B * K, N / K * blocks, t, 1)`."""

        def attend_of_block(group, block, key, value):
            query = self.query[group, block]
            logits, _, place = self._logits(group, block, query, key)
            highest = ops.max(logits, axis=-1, keepdims=True)
            exponentials = ops.exp(logits - highest)
            total = ops.sum(exponentials, axis=-1, keepdims=True)
            if self.dropout is not None:
                exponentials = self.dropout(exponentials, *place)
            context = ops.matmul(ops.cast(exponentials, value.dtype), value)
            context = ops.cast(context, self.wide)
            some = highest > 0.5 * EXCLUDED
            context = ops.where(some, context / total, 0.0)
            sums = ops.where(some, highest + ops.log(total), EMPTY)
            return (), (ops.cast(context, value.dtype), sums)

        def attend_of_group(group, carry):
            key, value = self.key[group], self.value[group]
            _, outputs = stacking_loop(
                lambda block, carry: attend_of_block(group, block, key, value),
                (),
                self._like_blocks(
                    (value.shape[-1], value.dtype), (1, self.wide)
                ),
            )
            return carry, outputs

        outputs = self._like_groups(
            (self.value.shape[-1], self.value.dtype), (1, self.wide)
        )
        _, (context, sums) = stacking_loop(attend_of_group, (), outputs)
        return self._ungroup(context), sums

    def backward(self, context, sums, upstream):
        """Gradients of query, key, value and each of the weights."""
        delta = ops.sum(
            ops.cast(context, self.wide) * ops.cast(upstream, self.wide),
            axis=-1,
            keepdims=True,
        )
        delta, upstream = self._group(delta), self._group(upstream)

        def gradient_of_block(group, block, carry, key, value):
            at_key, at_value, at_weights = carry
            query, at_context = self.query[group, block], upstream[group, block]
            logits, kept, place = self._logits(group, block, query, key)
            scores = ops.exp(logits - sums[group, block])
            at_scores = ops.einsum("td,sd->ts", at_context, value)
            at_scores = ops.cast(at_scores, self.wide)
            used = scores
            if self.dropout is not None:
                used = self.dropout(scores, *place)
                at_scores = self.dropout(at_scores, *place)
            used = ops.cast(used, value.dtype)
            at_value = at_value + ops.einsum("ts,td->sd", used, at_context)
            at_logits = scores * (at_scores - delta[group, block])
            at_logits = ops.cast(at_logits, query.dtype)
            at_query, more_at_key, more_at_weights = self.score.gradient(
                at_logits, kept, query, key, *self.weights
            )
            at_weights = tuple(map(ops.add, at_weights, more_at_weights))
            return (at_key + more_at_key, at_value, at_weights), (at_query,)

        def gradient_of_group(group, at_weights):
            key, value = self.key[group], self.value[group]
            zeros = (ops.zeros_like(key), ops.zeros_like(value), at_weights)
            (at_key, at_value, at_weights), (at_query,) = stacking_loop(
                lambda block, carry: gradient_of_block(
                    group, block, carry, key, value
                ),
                zeros,
                self._like_blocks((self.query.shape[-1], self.query.dtype)),
            )
            return at_weights, (at_query, at_key, at_value)

        at_weights, (at_query, at_key, at_value) = stacking_loop(
            gradient_of_group,
            tuple(ops.zeros_like(weight) for weight in self.weights),
            (
                ops.zeros_like(self.query),
                ops.zeros_like(self.key),
                ops.zeros_like(self.value),
            ),
        )
        split = (self.batch_size, self.num_groups, self.key_length)
        return (
            self._ungroup(at_query),
            ops.reshape(at_key, (*split, at_key.shape[-1])),
            ops.reshape(at_value, (*split, at_value.shape[-1])),
            *at_weights,
        )

    def _like_blocks(self, *kinds):
        """Zeros for what each block of a group gives."""
        sizes = (self.shared_by * self.num_blocks, self.block_length)
        return tuple(ops.zeros((*sizes, size), dtype) for size, dtype in kinds)

    def _like_groups(self, *kinds):
        return tuple(
            ops.zeros((ops.shape(self.key)[0], *ops.shape(zeros)), zeros.dtype)
            for zeros in self._like_blocks(*kinds)
        )


def _merge(tensor):
    """The first two axes as one."""
    shape = ops.shape(tensor)
    return ops.reshape(tensor, (shape[0] * shape[1], *shape[2:]))

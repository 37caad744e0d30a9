"""Attention in memory that grows with the length, not with its square.

The scores of some queries at a time are computed, used and forgotten; for the
gradient they are computed again from the logarithm of each row's sum (Rabe
and Staats, 2021, https://arxiv.org/abs/2112.05682; Dao et al., 2022,
https://arxiv.org/abs/2205.14135).

Axes: B batch, N heads, K heads of keys and values (N is a multiple of K),
T queries, S keys, H features of a query and a key, D of a value; t the
queries of a block.
"""

import keras
from keras import ops

from layers._block_layout import BlockLayout
from layers._recurrence import stacking_loop
from layers.masks import EXCLUDED

# Above any logarithm of a sum: exp(score - EMPTY) is 0.
EMPTY = -EXCLUDED


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
        given: `Masks`.
        block_length: How many queries at a time.
        dropout: `BlockDropout` or None.

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
        self.layout = BlockLayout(query, key, block_length)
        self.query = self.layout.group(query)
        self.key = self.layout.group_keys(key)
        self.value = self.layout.group_keys(value)
        self.wide = keras.backend.result_type(query.dtype, "float32")

    def _logits(self, group, block, query, key):
        """Masked logits `(t, S)`, what the score keeps for the gradient, and
        where they stand: row of B x N and first query."""
        row, head, first = self.layout.place(group, block)
        logits, kept = self.score.logits(query, key, *self.weights)
        logits = ops.cast(logits, self.wide)
        mask = self.given.tile(
            row,
            head,
            first,
            self.layout.block_length,
            self.layout.query_length,
            self.layout.key_length,
        )
        if mask is not None:
            logits = ops.where(mask, logits, EXCLUDED)
        return logits, kept, (row * self.layout.num_heads + head, first)

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
                self.layout.zeros_of_group(
                    (value.shape[-1], value.dtype), (1, self.wide)
                ),
            )
            return carry, outputs

        outputs = self.layout.zeros(
            (self.value.shape[-1], self.value.dtype), (1, self.wide)
        )
        _, (context, sums) = stacking_loop(attend_of_group, (), outputs)
        return self.layout.ungroup(context), sums

    def backward(self, context, sums, upstream):
        """Gradients of query, key, value and each of the weights."""
        delta = ops.sum(
            ops.cast(context, self.wide) * ops.cast(upstream, self.wide),
            axis=-1,
            keepdims=True,
        )
        delta, upstream = self.layout.group(delta), self.layout.group(upstream)

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
                self.layout.zeros_of_group(
                    (self.query.shape[-1], self.query.dtype)
                ),
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
        return (
            self.layout.ungroup(at_query),
            self.layout.ungroup_keys(at_key),
            self.layout.ungroup_keys(at_value),
            *at_weights,
        )

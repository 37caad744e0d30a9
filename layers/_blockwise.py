"""Attention in memory that grows with the length, not with its square.

The scores of some queries at a time are computed, used and forgotten; for the
gradient they are computed again from the logarithm of each row's sum (Rabe
and Staats, 2021, https://arxiv.org/abs/2112.05682; Dao et al., 2022,
https://arxiv.org/abs/2205.14135).

Axes: B batch, N heads, K heads of keys and values (N is a multiple of K),
T queries, S keys, H features of a query and a key, D of a value; t the
queries of a block.
"""

import functools

import keras
from keras import ops

from layers._block_layout import Layout
from layers._recurrence import stacking_loop
from layers.masks import EXCLUDED

# Above any logarithm of a sum: exp(score - EMPTY) is 0.
EMPTY = -EXCLUDED


def attend_in_blocks(score, query, key, value, weights, parts):
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
        parts: A list of `Part`, of all queries in their order.

    Returns:
        `(B, N, T, D)`.
    """

    @ops.custom_gradient
    def attend(query, key, value, *weights):
        blocks = _Blocks(score, query, key, value, weights, parts)
        context, sums = blocks.forward()

        def gradient(*arguments, upstream=None):
            # TensorFlow passes it as an argument, JAX and torch by name.
            upstream = arguments[0] if upstream is None else upstream
            return blocks.backward(context, sums, upstream)

        return context, gradient

    return attend(query, key, value, *weights)


class _Blocks:
    """The loop over the groups of heads that share keys and values, and in it
    those over the blocks of the queries of all its heads, part by part.

    What a part needs of its group is cut out inside the loop, so that nothing
    is kept for the gradient but what there was before. It is cut out in two
    steps: an index that only the graph knows beside a slice, in one, makes
    XLA begin the slice at 0, without a word.
    """

    def __init__(self, score, query, key, value, weights, parts):
        self.score, self.weights, self.parts = score, weights, parts
        self.layout = Layout(query, key)
        self.query = self.layout.group(query)
        self.key = self.layout.group_keys(key)
        self.value = self.layout.group_keys(value)
        self.wide = keras.backend.result_type(query.dtype, "float32")

    def _logits(self, group, part, block, query, key):
        """Masked logits `(t, S)`, what the score keeps for the gradient, and
        where they stand: row of B x N and first query."""
        row, head, first = self.layout.place(group, part, block)
        logits, kept = self.score.logits(query, key, *self.weights)
        logits = ops.cast(logits, self.wide)
        mask = part.given.tile(
            row,
            head,
            first,
            part.block_length,
            part.query_length,
            part.key_length,
        )
        if mask is not None:
            logits = ops.where(mask, logits, EXCLUDED)
        return logits, kept, (row * self.layout.num_heads + head, first)

    def _loop(self, part, step, carry, *kinds):
        """Run `step` over the blocks of a part, and give what it gave of each
        query, `(N / K, queries, F)`."""
        zeros = part.zeros(self.layout.shared_by, *kinds)
        carry, outputs = stacking_loop(step, carry, zeros)
        return carry, tuple(map(part.join, outputs))

    def forward(self):
        """The context `(B, N, T, D)`, and of each row of scores the logarithm
        of the sum, `(B * K, N / K, T, 1)`."""

        def attend_of_block(group, part, block, query, key, value):
            logits, _, place = self._logits(
                group, part, block, query[block], key
            )
            highest = ops.max(logits, axis=-1, keepdims=True)
            exponentials = ops.exp(logits - highest)
            total = ops.sum(exponentials, axis=-1, keepdims=True)
            if part.dropout is not None:
                exponentials = part.dropout(exponentials, *place)
            context = ops.matmul(ops.cast(exponentials, value.dtype), value)
            context = ops.cast(context, self.wide)
            some = highest > 0.5 * EXCLUDED
            context = ops.where(some, context / total, 0.0)
            sums = ops.where(some, highest + ops.log(total), EMPTY)
            return (), (ops.cast(context, value.dtype), sums)

        kinds = (
            (self.value.shape[-1], self.value.dtype),
            (1, self.wide),
        )

        def attend_of_part(group, part):
            query = part.split(self.query[group])
            key = self.key[group][part.keys]
            value = self.value[group][part.keys]
            _, outputs = self._loop(
                part,
                lambda block, carry: attend_of_block(
                    group, part, block, query, key, value
                ),
                (),
                *kinds,
            )
            return outputs

        def attend_of_group(group, carry):
            outputs = [attend_of_part(group, part) for part in self.parts]
            return carry, _join_parts(outputs)

        _, (context, sums) = stacking_loop(
            attend_of_group, (), self.layout.zeros(*kinds)
        )
        return self.layout.ungroup(context), sums

    def backward(self, context, sums, upstream):
        """Gradients of query, key, value and each of the weights."""
        delta = ops.sum(
            ops.cast(context, self.wide) * ops.cast(upstream, self.wide),
            axis=-1,
            keepdims=True,
        )
        of_queries = (
            self.query,
            self.layout.group(upstream),
            sums,
            self.layout.group(delta),
        )

        def gradient_of_block(group, part, block, carry, blocks, key, value):
            at_key, at_value, at_weights = carry
            query, at_context, sums, delta = (b[block] for b in blocks)
            logits, kept, place = self._logits(group, part, block, query, key)
            scores = ops.exp(logits - sums)
            at_scores = ops.einsum("td,sd->ts", at_context, value)
            at_scores = ops.cast(at_scores, self.wide)
            used = scores
            if part.dropout is not None:
                used = part.dropout(scores, *place)
                at_scores = part.dropout(at_scores, *place)
            used = ops.cast(used, value.dtype)
            at_value = at_value + ops.einsum("ts,td->sd", used, at_context)
            at_logits = scores * (at_scores - delta)
            at_logits = ops.cast(at_logits, query.dtype)
            at_query, more_at_key, more_at_weights = self.score.gradient(
                at_logits, kept, query, key, *self.weights
            )
            at_weights = tuple(map(ops.add, at_weights, more_at_weights))
            return (at_key + more_at_key, at_value, at_weights), (at_query,)

        def gradient_of_part(group, part, at_weights):
            blocks = [part.split(tensor[group]) for tensor in of_queries]
            key = self.key[group][part.keys]
            value = self.value[group][part.keys]
            zeros = (ops.zeros_like(key), ops.zeros_like(value), at_weights)
            (at_key, at_value, at_weights), (at_query,) = self._loop(
                part,
                lambda block, carry: gradient_of_block(
                    group, part, block, carry, blocks, key, value
                ),
                zeros,
                (self.query.shape[-1], self.query.dtype),
            )
            at_key, at_value = (
                part.spread_keys(tensor, self.layout.key_length)
                for tensor in (at_key, at_value)
            )
            return at_weights, at_query, at_key, at_value

        def gradient_of_group(group, at_weights):
            at_queries, at_keys, at_values = [], [], []
            for part in self.parts:
                at_weights, at_query, at_key, at_value = gradient_of_part(
                    group, part, at_weights
                )
                at_queries.append((at_query,))
                at_keys.append(at_key)
                at_values.append(at_value)
            (at_query,) = _join_parts(at_queries)
            at_key, at_value = (
                functools.reduce(ops.add, tensors)
                for tensors in (at_keys, at_values)
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


def _join_parts(outputs):
    """What each part gave, as one: a list of tuples of `(N / K, T, F)`."""
    if len(outputs) == 1:
        return outputs[0]
    return tuple(ops.concatenate(tensors, axis=1) for tensors in zip(*outputs))

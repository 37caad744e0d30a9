"""Scores of queries and keys, whole and in blocks.

Axes: B batch, N heads, K heads of keys and values (N is a multiple of K),
T queries, S keys, H features of a query and a key; in a block there are no B
and N, and t are its queries.

A score has `all_logits(query, key, *weights)` -> `(B, N, T, S)`. Of a block it
gives the logits `(t, S)` and what it keeps for `gradient`, which gives the
gradients of query, key and the tuple of weights.
"""

from keras import ops


def per_group(function, left, right):
    """`function` of `(B, N, T, F)` and `(B, K, F, G)`: `(B, N, T, G)`.

    Heads that share keys and values stand below one another, so nothing is
    repeated.
    """
    batch_size, num_heads, length, width = ops.shape(left)
    num_groups = right.shape[1]
    if num_groups == num_heads:
        return function(left, right)
    rows = num_heads // num_groups * length
    left = ops.reshape(left, (batch_size, num_groups, rows, width))
    outputs = function(left, right)
    return ops.reshape(
        outputs, (batch_size, num_heads, length, ops.shape(outputs)[-1])
    )


class DotProduct:
    """q . k, of queries that are scaled already."""

    kind = "dot"

    def width(self, query):
        return 1

    def all_logits(self, query, key):
        return per_group(ops.matmul, query, ops.swapaxes(key, 2, 3))

    def logits(self, query, key):
        return ops.einsum("th,sh->ts", query, key), ()

    def gradient(self, at_logits, kept, query, key):
        at_query = ops.matmul(at_logits, key)
        return at_query, ops.einsum("ts,th->sh", at_logits, query), ()


class Additive:
    """v . tanh(q + k), of projected queries and keys; the weight is v."""

    kind = "additive"

    def width(self, query):
        return query.shape[-1]

    def all_logits(self, query, key, kernel):
        def logits(query, key):
            # (B, K, N / K * T, 1, A) + (B, K, 1, S, A)
            features = ops.tanh(query[:, :, :, None, :] + key[:, :, None, :, :])
            return self._logits(features, kernel)

        return per_group(logits, query, key)

    def _logits(self, features, kernel):
        shape = ops.shape(features)
        flat = ops.reshape(features, (-1, features.shape[-1]))
        return ops.reshape(ops.matmul(flat, kernel), shape[:-1])

    def logits(self, query, key, kernel):
        features = ops.tanh(query[:, None, :] + key[None, :, :])
        return self._logits(features, kernel), features

    def gradient(self, at_logits, features, query, key, kernel):
        width = features.shape[-1]
        at_kernel = ops.matmul(
            ops.reshape(at_logits, (1, -1)),
            ops.reshape(features, (-1, width)),
        )
        slope = 1.0 - features * features
        at_sum = slope * at_logits[:, :, None] * ops.reshape(kernel, (width,))
        return (
            ops.sum(at_sum, axis=1),
            ops.sum(at_sum, axis=0),
            (ops.reshape(at_kernel, (width, 1)),),
        )

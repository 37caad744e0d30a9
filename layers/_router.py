"""The router of a mixture of attention heads.

Axes: B batch, T queries, E experts, k experts of a query.
"""

from typing import Any
from typing import NamedTuple

import keras
from keras import ops

from layers._attention_layer import project_features


class Routes(NamedTuple):
    """Which experts each query uses.

    Attributes:
        logits: Of all experts `(B, T, E)`, float32.
        weights: Of the chosen experts, the largest first, `(B, T, k)`.
        choices: One-hot, `(B, T, k, E)`.
    """

    logits: Any
    weights: Any
    choices: Any


def route(query, kernel, experts_per_token):
    """Choose experts.

    Args:
        query: `(B, T, query_dim)`.
        kernel: `(query_dim, E)`.
        experts_per_token: k.

    Returns:
        `Routes`. The sum by which the weights are divided has no gradient.
    """
    logits = project_features(query, kernel)
    wide = keras.backend.result_type(logits.dtype, "float32")
    logits = ops.cast(logits, wide)
    probabilities, chosen = ops.top_k(
        ops.softmax(logits, axis=-1), experts_per_token
    )
    total = ops.sum(probabilities, axis=-1, keepdims=True)
    choices = ops.one_hot(chosen, logits.shape[-1], dtype=logits.dtype)
    return Routes(logits, probabilities / ops.stop_gradient(total), choices)


def router_losses(routes, query_mask=None):
    """How uneven the choices are, and how large the logits.

    Args:
        routes: `Routes`.
        query_mask: Boolean `(B, T)`; queries that are False do not count.

    Returns:
        Two scalars: E sum_i f_i P_i, which is 1 where all experts are chosen
        alike, and the mean of (log sum_i exp(logit_i))^2.
    """
    logits, choices = routes.logits, routes.choices
    counts = ops.ones_like(logits[..., 0])
    if query_mask is not None:
        counts = ops.cast(query_mask, logits.dtype)
    counts = counts / ops.maximum(ops.sum(counts), 1.0)

    def mean(tensor):
        return ops.sum(tensor * counts[..., None], axis=(0, 1))

    num_chosen, num_experts = choices.shape[2:]
    share = mean(ops.sum(choices, axis=2)) / num_chosen
    probability = mean(ops.softmax(logits, axis=-1))
    size = ops.square(ops.logsumexp(logits, axis=-1))
    balance = num_experts * ops.sum(share * probability)
    return balance, ops.sum(size * counts)

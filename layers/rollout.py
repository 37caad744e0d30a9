"""Attention rollout: what each output has taken from each input."""

import keras
from keras import ops


def attention_rollout(scores, heads=None):
    """How much of each token a state of the last layer holds (Abnar).

        A'_l = normalise(0.5 A_l + 0.5 I)
        rollout = A'_L ... A'_2 A'_1

    A_l is the mean of the heads of layer l, and normalise divides each row by
    its sum. The unit matrix stands for the residual around the attention, so
    that what a state keeps of itself counts too.

    Args:
        scores: Self-attention of all layers, the lowest first, each
            `(batch_size, num_heads, length, length)`; a list, or a
            dictionary as `attention_scores` gives it.
        heads: Numbers of the heads that count, the same in each layer; None
            for all.

    Returns:
        `(batch_size, length, length)`, float32 or wider. Row t is what token
        t holds of all tokens, and sums to 1. Of a token without attention,
        because it is padding, that is itself alone.

    Raises:
        ValueError: If there are no scores, they are not those of
            self-attention, or a head does not exist.

    Example:

    >>> with record_attention() as scores:
    ...     model(images)
    >>> held = attention_rollout(scores)

    Reference:
        [Abnar and Zuidema, 2020](https://arxiv.org/abs/2005.00928), section
        3, equation 1.
    """
    layers = list(scores.values() if isinstance(scores, dict) else scores)
    if not layers:
        raise ValueError(
            f"There must be one layer at least. Received: scores={scores}"
        )
    rollout = None
    for layer in layers:
        step = _with_residual(_mean_of_heads(layer, heads))
        rollout = step if rollout is None else ops.matmul(step, rollout)
    return rollout


def rollout_map(rollout, grid_shape, query_weights=None, num_prefix_tokens=0):
    """How much a picture's summary holds of each of its patches.

    Args:
        rollout: `(batch_size, length, length)`: what `attention_rollout`
            gave, or any other weights of tokens, such as those of one layer.
        grid_shape: `(rows, columns)` of the patches, which stand last in the
            sequence, row by row.
        query_weights: How much each state counts in the summary,
            `(batch_size, length)`: the weights of attention pooling. None is
            the first row, the class token, where there are prefix tokens, and
            the mean of all rows where there are none.
        num_prefix_tokens: Number of tokens in front of the patches, of which
            a class token is the first.

    Returns:
        `(batch_size, rows, columns)`. With tokens in front its sum is less
        than 1: they hold the rest.

    Example:

    >>> maps = rollout_map(held, grid_shape=(14, 14), num_prefix_tokens=1)
    """
    summary = summarize_rollout(
        rollout, query_weights, class_token=num_prefix_tokens > 0
    )
    rows, columns = grid_shape
    return ops.reshape(summary[:, num_prefix_tokens:], (-1, rows, columns))


def summarize_rollout(rollout, query_weights=None, class_token=False):
    """How much the one vector that was pooled holds of each token.

    Args:
        rollout: `(batch_size, length, length)`, as in `rollout_map`.
        query_weights: How much each state counts in that vector,
            `(batch_size, length)`. None is the first, or the mean of all.
        class_token: Whether it is the first where there are no weights.

    Returns:
        `(batch_size, length)`.
    """
    if query_weights is not None:
        weights = ops.cast(query_weights, rollout.dtype)[:, None, :]
        return ops.squeeze(ops.matmul(weights, rollout), axis=1)
    return rollout[:, 0] if class_token else ops.mean(rollout, axis=1)


def _mean_of_heads(scores, heads):
    """`(B, N, T, T)` -> `(B, T, T)`, float32 or wider."""
    scores = ops.convert_to_tensor(scores)
    shape = tuple(scores.shape)
    if len(shape) != 4 or shape[2] != shape[3]:
        raise ValueError(
            "Rollout needs the scores of self-attention, (batch_size, "
            f"num_heads, length, length). Received: scores.shape={shape}"
        )
    scores = ops.cast(
        scores, keras.backend.result_type(scores.dtype, "float32")
    )
    if heads is not None:
        heads = list(heads)
        if not heads or not all(0 <= head < shape[1] for head in heads):
            raise ValueError(
                f"`heads` must be numbers from 0 to {shape[1] - 1}, one at "
                f"least. Received: heads={heads}"
            )
        scores = ops.take(scores, heads, axis=1)
    return ops.mean(scores, axis=1)


def _with_residual(weights):
    """Half of the weights and half of the state itself, rows summing to 1."""
    unit = ops.eye(ops.shape(weights)[-1], dtype=weights.dtype)
    mixed = 0.5 * weights + 0.5 * unit
    return mixed / ops.sum(mixed, axis=-1, keepdims=True)

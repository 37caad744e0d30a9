"""Heads as an axis of their own, and as further rows of the batch.

Axes: B batch, N heads, T queries or keys, H features of a head.
"""

from keras import ops


def split_heads(inputs, num_heads):
    """`(B, T, N * H)` -> `(B, N, T, H)`."""
    batch_size, length, width = ops.shape(inputs)
    shape = (batch_size, length, num_heads, width // num_heads)
    return ops.transpose(ops.reshape(inputs, shape), (0, 2, 1, 3))


def join_heads(inputs):
    """`(B, N, T, H)` -> `(B, T, N * H)`."""
    batch_size, _, length, _ = ops.shape(inputs)
    width = inputs.shape[1] * inputs.shape[3]
    inputs = ops.transpose(inputs, (0, 2, 1, 3))
    return ops.reshape(inputs, (batch_size, length, width))


def fold_heads(tensor):
    """`(B, N, T, H)` -> `(B * N, T, H)`."""
    batch_size, num_heads, length, width = ops.shape(tensor)
    return ops.reshape(tensor, (batch_size * num_heads, length, width))


def unfold_heads(tensor, num_heads):
    """`(B * N, T, H)` -> `(B, N, T, H)`."""
    return ops.reshape(tensor, (-1, num_heads, *ops.shape(tensor)[1:]))


def fold_masks(given, batch_size, num_heads):
    """The `Masks` where each head is a row of the batch: B x N rows."""

    def repeat(mask):
        return mask if mask is None else ops.repeat(mask, num_heads, axis=0)

    pairs = given.attention_mask
    if pairs is not None:
        lengths = ops.shape(pairs)[2:]
        pairs = ops.broadcast_to(pairs, (batch_size, num_heads, *lengths))
        pairs = ops.reshape(pairs, (batch_size * num_heads, 1, *lengths))
    return given._replace(
        query_mask=repeat(given.query_mask),
        key_mask=repeat(given.key_mask),
        attention_mask=pairs,
    )


def look_in_each_head(attention, query, memory, given, seed, asked):
    """`look` of a layer with one head, in many.

    Args:
        attention: A layer with a query, a key and a value.
        query: `(B, N, T, H)`.
        memory: `key` and `value`, `(B, N, S, ...)`.
        given, seed, asked: As in `look`.

    Returns:
        The context `(B, N, T, D)`, and the scores `(B, N, T, S)` or, if not
        asked for, anything.
    """
    num_heads = query.shape[1]
    folded = fold_masks(given, ops.shape(query)[0], num_heads)
    context, scores = attention.look(
        fold_heads(query),
        {name: fold_heads(memory[name]) for name in ("key", "value")},
        folded._replace(window_size=attention.window_size),
        seed,
        asked,
    )
    if scores is not None:
        scores = unfold_heads(ops.squeeze(scores, axis=1), num_heads)
    return unfold_heads(context, num_heads), scores

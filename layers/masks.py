"""Attention masks: the one place where all of them meet.

Masks are boolean and True means "may attend". Axes: B batch, N heads,
T query length, S key length.
"""

import keras
from keras import ops


def check_mask(mask, name):
    """Return `mask` as a tensor, or raise if it is not boolean.

    An additive mask (0 and -1e9) cast to boolean would attend to exactly
    what it meant to hide, so nothing is cast silently.

    Raises:
        ValueError: If the dtype of `mask` is not bool.
    """
    if mask is None:
        return None
    if not hasattr(mask, "dtype"):
        mask = ops.convert_to_tensor(mask)
    dtype = keras.backend.standardize_dtype(mask.dtype)
    if dtype != "bool":
        raise ValueError(
            f"`{name}` must be boolean with True = may attend. "
            f"Received: {name}.dtype={dtype}"
        )
    return ops.convert_to_tensor(mask)


def padding_mask(token_ids, padding_id=0):
    """True where a token is real: `(batch_size, length)`, boolean."""
    return ops.not_equal(token_ids, padding_id)


def causal_mask(query_length, key_length):
    """True where key `j` is not after query `t`: `(query_length, key_length)`.

    The last query stands at the last key: query row `t` has the position
    `key_length - query_length + t`. So one new query over five cached keys
    sees all five.
    """
    query = ops.arange(query_length, dtype="int32")[:, None]
    key = ops.arange(key_length, dtype="int32")[None, :]
    return key <= query + (key_length - query_length)


def four_axes(mask, name="attention_mask"):
    """Give a mask of `(T, S)`, `(B, T, S)` or `(B, N, T, S)` four axes.

    Raises:
        ValueError: If the mask has another rank.
    """
    rank = len(mask.shape)
    if rank == 2:
        return mask[None, None, :, :]
    if rank == 3:
        return mask[:, None, :, :]
    if rank == 4:
        return mask
    raise ValueError(
        f"`{name}` must have the shape (T, S), (B, T, S) or (B, N, T, S). "
        f"Received: {name}.shape={tuple(mask.shape)}"
    )


def combine_masks(
    query_length,
    key_length,
    *,
    query_mask=None,
    value_mask=None,
    key_mask=None,
    attention_mask=None,
    use_causal_mask=False,
):
    """All masks of a call as one, by AND.

    Args:
        query_length: T, an integer or a scalar tensor.
        key_length: S, an integer or a scalar tensor.
        query_mask: `(batch_size, query_length)`. A False row attends to
            nothing.
        value_mask: `(batch_size, key_length)`.
        key_mask: `(batch_size, key_length)`.
        attention_mask: `(T, S)`, `(B, T, S)` or `(B, N, T, S)`.
        use_causal_mask: Whether a query sees only the keys up to its own
            position.

    Returns:
        A boolean tensor that broadcasts to `(B, N, T, S)`, or None if
        everything is allowed.

    Raises:
        ValueError: If a mask is not boolean or `attention_mask` has another
            rank.
    """
    combined = None

    def add(mask):
        return mask if combined is None else ops.logical_and(combined, mask)

    for name, mask in (("value_mask", value_mask), ("key_mask", key_mask)):
        mask = check_mask(mask, name)
        if mask is not None:
            combined = add(mask[:, None, None, :])
    query_mask = check_mask(query_mask, "query_mask")
    if query_mask is not None:
        combined = add(query_mask[:, None, :, None])
    attention_mask = check_mask(attention_mask, "attention_mask")
    if attention_mask is not None:
        combined = add(four_axes(attention_mask))
    if use_causal_mask:
        combined = add(causal_mask(query_length, key_length)[None, None])
    return combined


def masked_softmax(logits, mask=None):
    """Softmax over the allowed keys, in float32 or wider.

    Args:
        logits: `(..., key_length)`.
        mask: Boolean, broadcasts to `logits`; None allows all.

    Returns:
        Weights that sum to 1 over the allowed keys and are exactly 0
        elsewhere. A row with no allowed key is all 0: not NaN, not uniform.
    """
    if keras.backend.standardize_dtype(logits.dtype) != "float64":
        logits = ops.cast(logits, "float32")
    if mask is not None:
        # A finite number keeps a row without allowed keys free of inf - inf;
        # its uniform weights are cleared below.
        logits = ops.where(mask, logits, -1e30)
    highest = ops.stop_gradient(ops.max(logits, axis=-1, keepdims=True))
    # Not `ops.softmax`, which warns of sequences of one key.
    exponentials = ops.exp(logits - highest)
    weights = exponentials / ops.sum(exponentials, axis=-1, keepdims=True)
    return weights if mask is None else ops.where(mask, weights, 0.0)

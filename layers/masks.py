"""Attention masks, and the softmax under them.

Masks are boolean and True means "may attend". Axes: B batch, N heads,
T query length, S key length.
"""

import keras
from keras import ops

# Logit of a key that may not be attended. Finite, so that a row without
# allowed keys has no inf - inf.
EXCLUDED = -1e30


def check_mask(mask, name, rank=None):
    """Return `mask` as a tensor, or raise if it is not what it must be.

    An additive mask (0 and -1e9) cast to boolean would attend to exactly
    what it meant to hide, so nothing is cast silently.

    Raises:
        ValueError: If the dtype of `mask` is not bool, or its rank not
            `rank`.
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
    mask = ops.convert_to_tensor(mask)
    if rank is not None and len(mask.shape) != rank:
        raise ValueError(
            f"`{name}` must have {rank} axes, (batch_size, length). "
            f"Received: {name}.shape={tuple(mask.shape)}"
        )
    return mask


def padding_mask(token_ids, padding_id=0):
    """True where a token is real: `(batch_size, length)`, boolean."""
    return ops.not_equal(token_ids, padding_id)


def causal_mask(query_length, key_length):
    """True where key `j` is not after query `t`: `(query_length, key_length)`.

    The last query stands at the last key: query row `t` has the position
    `key_length - query_length + t`. So one new query over five cached keys
    sees all five.
    """
    distance = distance_to(key_length - query_length, query_length, key_length)
    return distance <= 0


def distance_to(first_position, query_length, key_length):
    """Position of each key less that of each query, `(T, S)`."""
    query = first_position + ops.arange(query_length, dtype="int32")
    return ops.arange(key_length, dtype="int32")[None, :] - query[:, None]


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


def last_position(mask, key_length):
    """Position of the last key that each query may see, 0 where it sees none.

    Args:
        mask: Boolean, broadcasts to the scores of a layer of one head.
        key_length: S.

    Returns:
        `(B, T)`, each 1 where it does not matter.
    """
    mask = four_axes(mask)[:, 0]
    positions = ops.arange(key_length, dtype="int32")
    return ops.max(ops.where(mask, positions, 0), axis=-1)


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
        # A row without allowed keys is uniform here, and cleared below.
        logits = ops.where(mask, logits, EXCLUDED)
    if logits.shape[-1] == 1:
        # 1, with a gradient of 0. Keras warns of a softmax over one number,
        # which is no mistake here.
        weights = ops.exp(logits - logits)
    else:
        weights = ops.softmax(logits, axis=-1)
    return weights if mask is None else ops.where(mask, weights, 0.0)

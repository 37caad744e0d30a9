"""Numbers that tell how attention behaves, head by head.

Scores are `(batch_size, num_heads, query_length, key_length)`. Masks are
boolean, True = a real token, and must come from the token ids: the mask that
a layer was given may be the very thing that is broken.

A query counts if it is a real token and its row of scores is not all zero;
such a row means that the query was allowed no key. Every function gives one
number a head, NaN for a head in which no query counts.
"""

import numpy as np


def entropy(scores, query_mask):
    """Mean entropy of the rows, in nats.

    0 for a head that looks at one token, `ln(key_length)` for one that looks
    everywhere alike.

    Args:
        scores: `(batch_size, num_heads, query_length, key_length)`.
        query_mask: Boolean `(batch_size, query_length)`.

    Returns:
        `(num_heads,)`, float64.

    Raises:
        ValueError: If the scores or the mask have another shape.

    Reference:
        [Clark et al., 2019](https://arxiv.org/abs/1906.04341), section 3.3.
    """
    scores = _check_scores(scores)
    counted = _counted_rows(scores, query_mask)
    return _mean_over_rows(_row_entropy(_normalize(scores)), counted)


def max_weight(scores, query_mask):
    """Mean of the greatest weight of each row, 0 to 1.

    Args:
        scores: `(batch_size, num_heads, query_length, key_length)`.
        query_mask: Boolean `(batch_size, query_length)`.

    Returns:
        `(num_heads,)`, float64.

    Raises:
        ValueError: If the scores or the mask have another shape.
    """
    scores = _check_scores(scores)
    counted = _counted_rows(scores, query_mask)
    return _mean_over_rows(scores.max(axis=-1), counted)


def padding_leak(scores, query_mask, key_mask):
    """Share of the weight of real queries that lies on padded keys.

    0 in a model whose mask works.

    Args:
        scores: `(batch_size, num_heads, query_length, key_length)`.
        query_mask: Boolean `(batch_size, query_length)`.
        key_mask: Boolean `(batch_size, key_length)`.

    Returns:
        `(num_heads,)`, float64, 0 to 1.

    Raises:
        ValueError: If the scores or a mask have another shape.
    """
    scores = _check_scores(scores)
    counted = _counted_rows(scores, query_mask)
    batch_size, _, _, key_length = scores.shape
    key_mask = _check_mask(key_mask, "key_mask", (batch_size, key_length))
    # (B, N, T): what each row spends on padded keys, and in all.
    leaked = np.where(key_mask[:, None, None, :], 0.0, scores).sum(axis=-1)
    return _divide(
        np.where(counted, leaked, 0.0).sum(axis=(0, 2)),
        np.where(counted, scores.sum(axis=-1), 0.0).sum(axis=(0, 2)),
    )


def head_redundancy(scores, query_mask):
    """How alike each head is to the others: 1 the same, 0 nothing shared.

        similarity(p, q) = 1 - JSD(p, q) / ln 2
        JSD(p, q) = H((p + q) / 2) - (H(p) + H(q)) / 2

    with the entropy H and the Jensen-Shannon divergence JSD, which is at
    most ln 2. It is averaged over the queries that count in both heads, then
    over the other heads. Clark et al. sum the divergence to compare heads of
    different models; as a mean, scaled and turned around, it compares
    sentences of any length and grows with the redundancy.

    Args:
        scores: `(batch_size, num_heads, query_length, key_length)`.
        query_mask: Boolean `(batch_size, query_length)`.

    Returns:
        `(num_heads,)`, float64; NaN for a head without another to compare.

    Raises:
        ValueError: If the scores or the mask have another shape.

    Reference:
        [Clark et al., 2019](https://arxiv.org/abs/1906.04341), section 6.
    """
    scores = _check_scores(scores)
    counted = _counted_rows(scores, query_mask)
    rows = _normalize(scores)
    own = _row_entropy(rows)
    num_heads = scores.shape[1]
    sums, pairs = np.zeros(num_heads), np.zeros(num_heads)
    for head in range(num_heads - 1):
        # This head against all after it, (B, others, T).
        this, others = slice(head, head + 1), slice(head + 1, None)
        divergence = _row_entropy((rows[:, this] + rows[:, others]) / 2) - (
            (own[:, this] + own[:, others]) / 2
        )
        similarity = _mean_over_rows(
            np.clip(1 - divergence / np.log(2), 0, 1),
            counted[:, this] & counted[:, others],
        )
        met = (counted[:, this] & counted[:, others]).any(axis=(0, 2))
        similarity = np.where(met, similarity, 0.0)
        sums[others] += similarity
        pairs[others] += met
        sums[head] += similarity.sum()
        pairs[head] += met.sum()
    return _divide(sums, pairs)


def diagnose(scores, query_mask, key_mask):
    """All diagnostics of a layer, as means over its heads.

    Args:
        scores: `(batch_size, num_heads, query_length, key_length)`.
        query_mask: Boolean `(batch_size, query_length)`, True = a real
            token.
        key_mask: Boolean `(batch_size, key_length)`, True = a real token.

    Returns:
        A dictionary of floats: `entropy` in nats, `max_weight`,
        `padding_leak` and, for more than one head, `head_redundancy`. Heads
        in which no query counts are left out of the mean; a value is NaN if
        none is left, or if the scores are NaN.

    Raises:
        ValueError: If the scores or a mask have another shape.
    """
    scores = _check_scores(scores)
    heads = _counted_rows(scores, query_mask).any(axis=(0, 2))
    values = {
        "entropy": entropy(scores, query_mask),
        "max_weight": max_weight(scores, query_mask),
        "padding_leak": padding_leak(scores, query_mask, key_mask),
    }
    if scores.shape[1] > 1:
        values["head_redundancy"] = head_redundancy(scores, query_mask)
    return {
        name: float(value[heads].mean()) if heads.any() else float("nan")
        for name, value in values.items()
    }


def _check_scores(scores):
    scores = np.asarray(scores, "float64")
    if scores.ndim != 4:
        raise ValueError(
            "`scores` must have the shape (batch_size, num_heads, "
            "query_length, key_length). "
            f"Received: scores.shape={scores.shape}"
        )
    return scores


def _check_mask(mask, name, shape):
    mask = np.asarray(mask)
    if mask.dtype != bool or mask.shape != shape:
        raise ValueError(
            f"`{name}` must be boolean with the shape {shape}. "
            f"Received: {name}.dtype={mask.dtype}, {name}.shape={mask.shape}"
        )
    return mask


def _counted_rows(scores, query_mask):
    """Which rows count: `(batch_size, num_heads, query_length)`."""
    batch_size, _, query_length, _ = scores.shape
    mask = _check_mask(query_mask, "query_mask", (batch_size, query_length))
    return mask[:, None, :] & (scores != 0).any(axis=-1)


def _normalize(scores):
    """Rows that sum to 1; a row of zeros stays one."""
    sums = scores.sum(axis=-1, keepdims=True)
    return scores / np.where(sums == 0, 1.0, sums)


def _row_entropy(rows):
    # 0 ln 0 is 0.
    return -(rows * np.log(np.where(rows == 0, 1.0, rows))).sum(axis=-1)


def _mean_over_rows(values, counted):
    """Mean of `(B, N, T)` over the rows that count: `(N,)`."""
    return _divide(
        np.where(counted, values, 0.0).sum(axis=(0, 2)),
        counted.sum(axis=(0, 2)),
    )


def _divide(numerator, denominator):
    """NaN where the denominator is 0."""
    missing = denominator == 0
    quotient = numerator / np.where(missing, 1, denominator)
    return np.where(missing, np.nan, quotient)

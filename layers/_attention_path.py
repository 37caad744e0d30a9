"""Which way attention is computed, and both ways.

Axes: B batch, N heads, K heads of keys and values (N is a multiple of K),
T queries, S keys, H features of a query and a key, D of a value.
"""

import keras
from keras import ops

from layers._attention_scores import per_group
from layers._block_dropout import BlockDropout
from layers._block_layout import Part
from layers._blockwise import attend_in_blocks
from layers.dropout import drop
from layers.masks import masked_softmax

# From here on blocks cost about the same time, or up to a third more, and
# far less memory, measured forward and backward on two cores: scores of one
# head, times the width of what a score needs.
WORTH_BLOCKS = {"dot": 2**21, "additive": 2**22}
FEW_QUERIES = 32
# Numbers of a block that stay in the cache of a core.
BLOCK_SIZE = 2**20
# A causal mask or a window lets parts of the queries see parts of the keys.
NUM_PARTS = 8


def attend(
    score,
    query,
    key,
    value,
    weights,
    given,
    *,
    bias=None,
    rate=0.0,
    seed=None,
    blockwise=None,
    asked=True,
):
    """Context and scores of a query-key attention.

    The path depends on lengths and `blockwise` alone, never on `asked`, so
    asking for scores cannot change the context.

    Args:
        score: As `attend_in_blocks` needs, with `all_logits(query, key,
            *weights)` -> `(B, N, T, S)`, `kind` and `width(query)`.
        query: `(B, N, T, H)`.
        key: `(B, K, S, H)`.
        value: `(B, K, S, D)`.
        weights: Tuple of the tensors that `score` needs.
        given: `Masks`.
        bias: Added to the logits, broadcasts to `(B, N, T, S)`; it needs all
            scores at once.
        rate, seed: Dropout of the weights; a seed of None drops nothing.
        blockwise: Whether to compute the scores in blocks; None takes the
            fused kernel of the backend, where there is one and nothing is
            dropped, and else decides by the lengths.
        asked: Whether the scores are wanted.

    Returns:
        The context `(B, N, T, D)`, and the scores `(B, N, T, S)` or, if not
        asked for, anything.
    """
    lengths = ops.shape(query)[2], ops.shape(key)[2]

    def score_all():
        logits = score.all_logits(query, key, *weights)
        if bias is not None:
            logits = ops.cast(logits, bias.dtype) + bias
        return masked_softmax(logits, given.whole(*lengths))

    if bias is not None:
        blockwise = False
    elif blockwise is None and seed is None and _has_fused_kernel(score):
        context = _attend_fused(query, key, value, given.whole(*lengths))
        return context, score_all() if asked else None
    elif blockwise is None:
        blockwise = _worth_blocks(score, query, *lengths)
    if blockwise:
        parts = _make_parts(score, query, key, given, rate, seed)
        context = attend_in_blocks(score, query, key, value, weights, parts)
        return context, score_all() if asked else None
    scores = score_all()
    weighted = ops.cast(scores, value.dtype)
    if seed is not None:
        weighted = drop(weighted, rate, seed)
    return per_group(ops.matmul, weighted, value), scores


def _worth_blocks(score, query, query_length, key_length):
    # A few queries need no more than the keys do. Of lengths that only the
    # graph will know nothing is assumed: a choice inside the graph would
    # compile both ways.
    known = isinstance(query_length, int) and isinstance(key_length, int)
    if not known or query_length < FEW_QUERIES:
        return False
    size = query_length * key_length * score.width(query)
    return size >= WORTH_BLOCKS[score.kind]


def _has_fused_kernel(score):
    """Whether the backend computes this without keeping the scores.

    torch does on every device. On JAX, what Keras calls is one on an NVIDIA
    GPU only, and for few types and masks, so there the blocks stand.
    """
    return score.kind == "dot" and keras.config.backend() == "torch"


def _attend_fused(query, key, value, mask):
    """The kernel of the backend, for queries that are scaled already."""
    shared_by = query.shape[1] // key.shape[1]
    if shared_by > 1:
        key, value = (
            ops.repeat(tensor, shared_by, axis=1) for tensor in (key, value)
        )
    # (B, N, T, H) -> (B, T, N, H)
    query, key, value = (
        ops.transpose(tensor, (0, 2, 1, 3)) for tensor in (query, key, value)
    )
    context = ops.dot_product_attention(query, key, value, mask=mask, scale=1.0)
    context = ops.transpose(context, (0, 2, 1, 3))
    if mask is None:
        return context
    # What a kernel makes of a query without keys is its own affair.
    return ops.where(ops.any(mask, axis=-1, keepdims=True), context, 0.0)


def _make_parts(score, query, key, given, rate, seed):
    """A list of `Part`."""
    query_length, key_length = ops.shape(query)[2], ops.shape(key)[2]
    known = isinstance(query_length, int) and isinstance(key_length, int)
    parts = []
    for queries, keys in _slices(query_length, key_length, given, known):
        dropout = None
        if seed is not None:
            dropout = BlockDropout(
                rate,
                seed,
                (query_length, key_length),
                first_query=queries.start,
                first_key=keys.start,
            )
        block_length = 64
        if known:
            width = (keys.stop - keys.start) * score.width(query)
            longest = queries.stop - queries.start
            block_length = max(1, min(longest, BLOCK_SIZE // width))
        masks = given.part(queries, keys, query_length, key_length)
        parts.append(Part(queries, keys, masks, block_length, dropout))
    return parts


def _slices(query_length, key_length, given, known):
    """Slices of the queries, and of all keys that they may see."""
    whole = slice(0, query_length), slice(0, key_length)
    ordered = given.use_causal_mask or given.window_size is not None
    if not (known and ordered and given.length is None):
        return [whole]
    offset = given.first_position(query_length, key_length)
    if not isinstance(offset, int):
        return [whole]
    size = -(-query_length // NUM_PARTS)
    parts = []
    for start in range(0, query_length, size):
        stop = min(start + size, query_length)
        first, last = 0, key_length
        if given.use_causal_mask:
            last = offset + stop
        if given.window_size is not None:
            first = offset + start - given.window_size
            last = min(last, offset + stop + given.window_size)
        # One key at least, which the mask will hide if need be.
        first = min(max(first, 0), key_length - 1)
        last = min(max(last, first + 1), key_length)
        parts.append((slice(start, stop), slice(first, last)))
    return parts

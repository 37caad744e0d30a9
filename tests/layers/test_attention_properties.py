"""Any shapes, masks and types: both paths give what NumPy gives."""

import hypothesis
import keras
import numpy as np
import pytest
from hypothesis import strategies

from layers import _attention_path
from layers._attention_path import attend
from layers._attention_scores import Additive
from layers._attention_scores import DotProduct
from layers._call_masks import collect_masks
from tests.layers.running import assert_allclose
from tests.layers.running import BACKEND

SIZES = strategies.integers(1, 6)
# Where each new shape is compiled, fewer.
settings = hypothesis.settings(
    max_examples=60 if BACKEND == "tensorflow" else 15,
    deadline=None,
    derandomize=True,
    database=None,
)


@strategies.composite
def calls(draw):
    """Everything that a call can be given."""
    batch_size, groups, shared_by, queries, keys, width, value_dim = (
        draw(SIZES) for _ in range(7)
    )
    heads = groups * shared_by
    random = np.random.default_rng(draw(strategies.integers(0, 999))).random
    chance = draw(strategies.sampled_from([0.0, 0.3, 1.0]))
    rows = draw(strategies.sampled_from([1, batch_size]))
    columns = draw(strategies.sampled_from([1, heads]))
    masks = {
        "query_mask": random((batch_size, queries)) >= chance,
        "value_mask": random((batch_size, keys)) >= chance,
        "key_mask": random((batch_size, keys)) >= chance,
        "attention_mask": random((rows, columns, queries, keys)) >= chance,
        "use_causal_mask": True,
        "window_size": draw(strategies.integers(0, 4)),
    }
    chosen = draw(strategies.sets(strategies.sampled_from(sorted(masks))))
    normal = np.random.default_rng(1).normal
    return (
        draw(strategies.sampled_from(["dot", "additive"])),
        normal(size=(batch_size, heads, queries, width)),
        normal(size=(batch_size, groups, keys, width)),
        normal(size=(batch_size, groups, keys, value_dim)),
        {name: masks[name] for name in chosen},
    )


def allowed_pairs(shape, masks):
    """The masks, one pair at a time."""
    allowed = np.zeros(shape, bool)
    for b, n, t, s in np.ndindex(shape):
        distance = s - (t + shape[3] - shape[2])
        pairs = masks.get("attention_mask")
        allowed[b, n, t, s] = (
            masks.get("query_mask", np.ones(shape[::2], bool))[b, t]
            and masks.get("value_mask", np.ones(shape[::3], bool))[b, s]
            and masks.get("key_mask", np.ones(shape[::3], bool))[b, s]
            and (
                pairs is None
                or pairs[b % pairs.shape[0], n % pairs.shape[1], t, s]
            )
            and (not masks.get("use_causal_mask") or distance <= 0)
            and abs(distance) <= masks.get("window_size", 99)
        )
    return allowed


def reference(kind, query, key, value, masks):
    shared_by = query.shape[1] // key.shape[1]
    key, value = (np.repeat(a, shared_by, axis=1) for a in (key, value))
    if kind == "dot":
        logits = np.einsum("bnth,bnsh->bnts", query, key)
    else:
        pairs = query[:, :, :, None] + key[:, :, None]
        logits = np.tanh(pairs).sum(axis=-1)
    weights = np.exp(logits) * allowed_pairs(logits.shape, masks)
    total = weights.sum(axis=-1, keepdims=True)
    weights = np.divide(
        weights, total, out=np.zeros_like(weights), where=total > 0
    )
    return weights @ value, weights


@pytest.mark.check(
    "blocks", layers=["AdditiveAttention", "DotProductAttention"]
)
@settings
@hypothesis.given(
    call=calls(),
    block_size=strategies.integers(1, 40),
    blockwise=strategies.booleans(),
    dtype=strategies.sampled_from(["float64", "float32", "float16"]),
)
def test_both_paths_equal_numpy(call, block_size, blockwise, dtype):
    kind, *tensors, masks = call
    expected, expected_scores = reference(kind, *tensors, masks)
    score, weights = DotProduct(), ()
    if kind == "additive":
        score = Additive()
        weights = (keras.ops.ones((tensors[0].shape[-1], 1), dtype=dtype),)
    before = _attention_path.BLOCK_SIZE
    _attention_path.BLOCK_SIZE = block_size
    try:
        context, scores = attend(
            score,
            *(keras.ops.convert_to_tensor(tensor, dtype) for tensor in tensors),
            weights,
            collect_masks(**masks),
            blockwise=blockwise,
        )
    finally:
        _attention_path.BLOCK_SIZE = before
    tolerance = {"float64": 1e-12, "float32": 1e-5, "float16": 2e-2}[dtype]
    context, scores = map(keras.ops.convert_to_numpy, (context, scores))
    assert_allclose(context, expected, atol=tolerance)
    assert_allclose(scores, expected_scores, atol=tolerance)

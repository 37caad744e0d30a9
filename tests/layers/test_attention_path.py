"""All scores at once, and in blocks: one result."""

import itertools
import pathlib

import keras
import numpy as np
import pytest
from keras import ops

from layers import _attention_path
from layers._attention_path import attend
from layers._attention_scores import Additive
from layers._attention_scores import DotProduct
from layers._block_dropout import BlockDropout
from layers._call_masks import collect_masks
from layers._random_bits import draw_seed
from tests.layers.running import array
from tests.layers.running import assert_allclose
from tests.layers.running import assert_array_equal
from tests.layers.running import BACKEND
from tests.layers.running import compiled
from tests.layers.running import dtype_of
from tests.layers.running import each_jit
from tests.layers.running import outputs_and_gradients
from tests.layers.running import weighted_sum

GOLDEN = pathlib.Path(__file__).parent / "golden"

# B 2, N 6, T 11, S 13; 5 features compared, values of 7.
DRAW = np.random.default_rng(0).normal
PAIRS = DRAW(size=(2, 6, 11, 13)) > -1.0
MASKS = {
    "none": {},
    "keys": {"key_mask": np.arange(26).reshape(2, 13) % 5 > 0},
    "queries": {"query_mask": np.arange(22).reshape(2, 11) % 4 > 0},
    "pairs": {"attention_mask": PAIRS[0, 0]},
    "pairs of rows": {"attention_mask": PAIRS[:, 0]},
    "pairs of heads": {"attention_mask": PAIRS},
    "pairs of heads of all rows": {"attention_mask": PAIRS[:1]},
    "a row of pairs": {"attention_mask": PAIRS[:, :, :1]},
    "causal": {"use_causal_mask": True},
    "window": {"window_size": 2},
    "causal window": {"use_causal_mask": True, "window_size": 3},
    "cache": {"use_causal_mask": True, "length": 12},
    "empty row": {"value_mask": np.array([[1] * 13, [0] * 13], bool)},
    "all": {
        "key_mask": np.arange(26).reshape(2, 13) % 5 > 0,
        "query_mask": np.arange(22).reshape(2, 11) % 4 > 0,
        "attention_mask": PAIRS,
        "use_causal_mask": True,
        "window_size": 6,
    },
}
GROUPS = {"dot": (6, 3, 1), "additive": (6, 2)}
# Each mask with shared keys; those of heads however many share them.
MASKS_OF_GROUPS = [
    (kind, num_groups, mask)
    for kind, all_groups in GROUPS.items()
    for num_groups in all_groups
    for mask in MASKS
    if num_groups in (3, 2) or mask in ("none", "pairs of heads", "all")
]
# The quickest way to try many: on JAX each operation alone is compiled, too.
JIT_OF_MANY = True if BACKEND == "jax" else None
# All at once, in blocks, and where there is one the kernel of the backend.
PATHS = (False, True, None) if BACKEND == "torch" else (False, True)


def tensors(num_groups=6, dtype="float64"):
    shapes = (2, 6, 11, 5), (2, num_groups, 13, 5), (2, num_groups, 13, 7)
    return tuple(
        ops.convert_to_tensor(DRAW(size=shape), dtype) for shape in shapes
    )


def score_of(kind, dtype="float64"):
    if kind == "dot":
        return DotProduct(), ()
    return Additive(), (ops.convert_to_tensor(DRAW(size=(5, 1)), dtype),)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    # Blocks of 4, 3 or 1 queries, the last one not full.
    monkeypatch.setattr(_attention_path, "BLOCK_SIZE", 4 * 13)
    monkeypatch.setattr(_attention_path, "NUM_PARTS", 3)


def run(kind, inputs, weights, mask, blockwise, direction, jit=None, **more):
    """Context and gradients of all inputs and weights."""
    score, _ = score_of(kind)

    def train(query, key, value, *weights):
        context, _ = attend(
            score,
            query,
            key,
            value,
            weights,
            collect_masks(**mask),
            blockwise=blockwise,
            asked=False,
            **more,
        )
        return weighted_sum(context, direction), context

    context, gradients, _ = outputs_and_gradients(
        train, [*inputs, *weights], jit=jit
    )
    return [context, *gradients]


def draw(kind, num_groups):
    """The first arguments of `run`, but for mask and path."""
    direction = DRAW(size=(2, 6, 11, 7))
    return kind, tensors(num_groups), score_of(kind)[1], direction


def all_paths(kind, inputs, weights, direction, mask, **options):
    """What `run` gives on each path."""
    return [
        run(kind, inputs, weights, MASKS[mask], path, direction, **options)
        for path in PATHS
    ]


@pytest.mark.check(
    "blocks", layers=["AdditiveAttention", "DotProductAttention"]
)
@pytest.mark.parametrize("kind, num_groups, mask", MASKS_OF_GROUPS)
def test_blocks_equal_all_at_once(kind, num_groups, mask):
    plain, *others = all_paths(*draw(kind, num_groups), mask, jit=JIT_OF_MANY)
    for left in plain:
        assert np.isfinite(left).all() and np.abs(left).max() > 0.1
    for path in others:
        for left, right in zip(plain, path):
            assert_allclose(right, left, rtol=1e-9, atol=1e-12)


@pytest.mark.check(
    "blocks", layers=["AdditiveAttention", "DotProductAttention"]
)
@each_jit
@pytest.mark.parametrize("kind", GROUPS)
@pytest.mark.parametrize("mask", ["all", "empty row"])
def test_blocks_compiled(kind, mask, jit):
    plain, blocks, *_ = all_paths(*draw(kind, 2), mask, jit=jit)
    for left, right in zip(plain, blocks):
        assert_allclose(right, left, rtol=1e-9, atol=1e-12)


@pytest.mark.check(
    "blocks", layers=["AdditiveAttention", "DotProductAttention"]
)
@pytest.mark.parametrize("kind", GROUPS)
@pytest.mark.parametrize("mask", ["none", "causal window"])
def test_dropout_is_the_same_on_both_paths(kind, mask):
    given = draw(kind, 2)
    seed = draw_seed(keras.random.SeedGenerator(3))
    options = {"jit": JIT_OF_MANY, "rate": 0.3, "seed": seed}
    plain, *others = all_paths(*given, mask, **options)
    for path in others:
        for left, right in zip(plain, path):
            assert_allclose(right, left, rtol=1e-9, atol=1e-12)
    whole, *_ = all_paths(*given, mask, jit=JIT_OF_MANY)
    assert np.abs(whole[0] - plain[0]).max() > 0.1


@pytest.mark.check("blocks", layers=["DotProductAttention"])
def test_every_place_of_the_dropout_counts_once():
    # 2 rows of 6 heads of 11 queries, in parts of 4 rows and of 5 columns.
    seed = draw_seed(keras.random.SeedGenerator(3))
    ones = ops.ones((2 * 6 * 11, 13))
    whole = array(BlockDropout(0.5, seed, (11, 13))(ones, 0, 0))
    for row, first in itertools.product(range(12), (0, 4, 8)):
        part = BlockDropout(0.5, seed, (11, 13), first_key=5)(
            ones[: min(4, 11 - first), 5:10], row, first
        )
        begin = row * 11 + first
        expected = whole[begin : begin + part.shape[0], 5:10]
        assert_array_equal(part, expected)


@pytest.mark.check(
    "compiled", layers=["AdditiveAttention", "DotProductAttention"]
)
@pytest.mark.tensorflow
@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("blockwise", [True, None])
@pytest.mark.parametrize("kind", GROUPS)
def test_lengths_known_in_the_graph_only(kind, blockwise, jit):
    import tensorflow as tf

    score, weights = score_of(kind)

    def train(query, key, value):
        with tf.GradientTape() as tape:
            tape.watch([query, key, value])
            context, scores = attend(
                score,
                query,
                key,
                value,
                weights,
                collect_masks(use_causal_mask=True),
                blockwise=blockwise,
            )
            loss = ops.sum(context**2)
        return context, scores, tape.gradient(loss, [query, key, value])

    inputs = tensors(2)
    signature = [
        keras.KerasTensor(
            (None, tensor.shape[1], None, tensor.shape[3]), "float64"
        )
        for tensor in inputs
    ]
    traced = compiled(train, jit, signature)
    for length in (11, 3):
        some = (inputs[0][:, :, :length], *inputs[1:])
        for left, right in zip(
            keras.tree.flatten(train(*some)), keras.tree.flatten(traced(*some))
        ):
            assert_allclose(right, left, rtol=1e-9, atol=1e-12)


@pytest.mark.check(
    "blocks", layers=["AdditiveAttention", "DotProductAttention"]
)
@pytest.mark.parametrize(
    "kind, lengths, blocks",
    [
        ("dot", (2048, 1024), True),
        ("dot", (2048, 1023), False),
        # Decoding with a long cache.
        ("dot", (1, 2**22), False),
        ("additive", (256, 256), True),
        ("additive", (32, 32), False),
    ],
)
def test_blocks_where_they_pay(kind, lengths, blocks, monkeypatch):
    taken = []
    monkeypatch.setattr(
        _attention_path,
        "attend_in_blocks",
        lambda score, query, *others: taken.append(1) or query,
    )
    width = 64
    score, _ = score_of(kind)
    shapes = [(1, 1, length, width) for length in lengths]
    if lengths[0] * lengths[1] > 2**21:
        shapes = [(1, 1, length, 1) for length in lengths]
    query, key = (ops.zeros(shape) for shape in shapes)
    attend(
        score,
        query,
        key,
        key,
        (ops.zeros((shapes[0][-1], 1)),) if kind == "additive" else (),
        collect_masks(),
        asked=False,
    )
    fused = BACKEND == "torch" and kind == "dot"
    assert bool(taken) == (blocks and not fused)


@pytest.mark.check(
    "precision", layers=["AdditiveAttention", "DotProductAttention"]
)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
@pytest.mark.parametrize("kind", GROUPS)
def test_precision(kind, dtype):
    inputs = tensors(2, dtype)
    score, weights = score_of(kind, dtype)
    contexts = []
    for blockwise in (False, True):
        context, scores = attend(
            score, *inputs, weights, collect_masks(), blockwise=blockwise
        )
        assert dtype_of(context) == dtype
        assert dtype_of(scores) == "float32"
        contexts.append(array(context, "float32"))
    tolerance = {"float16": 5e-3, "bfloat16": 4e-2, "float32": 1e-6}[dtype]
    assert_allclose(*contexts, atol=tolerance)


@pytest.mark.check("precision", layers=["DotProductAttention"])
def test_large_logits_neither_overflow_nor_vanish():
    query, key, value = tensors()
    contexts = [
        attend(
            DotProduct(),
            query * 1e4,
            key,
            value,
            (),
            collect_masks(),
            blockwise=blockwise,
            asked=False,
        )[0]
        for blockwise in (False, True)
    ]
    assert np.isfinite(array(contexts[1])).all()
    assert_allclose(contexts[1], contexts[0], atol=1e-12)


@pytest.mark.check("equation", layers=["DotProductAttention"])
def test_equals_the_formula():
    query, key, value = tensors(3)
    context, scores = attend(
        DotProduct(), query, key, value, (), collect_masks(), blockwise=True
    )
    expected = np.zeros((2, 6, 11, 7))
    weights = np.zeros((2, 6, 11, 13))
    for b, n, t in np.ndindex(2, 6, 11):
        group = n // 2
        logits = array(key)[b, group] @ array(query)[b, n, t]
        weights[b, n, t] = np.exp(logits) / np.exp(logits).sum()
        expected[b, n, t] = weights[b, n, t] @ array(value)[b, group]
    assert_allclose(context, expected, atol=1e-12)
    assert_allclose(scores, weights, atol=1e-12)


@pytest.mark.check("equation", layers=["AdditiveAttention"])
def test_additive_equals_the_formula():
    query, key, value = tensors(2)
    score, (kernel,) = score_of("additive")
    for blockwise in (False, True):
        context, _ = attend(
            score,
            query,
            key,
            value,
            (kernel,),
            collect_masks(),
            blockwise=blockwise,
        )
        for b, n, t in np.ndindex(2, 6, 11):
            hidden = np.tanh(array(query)[b, n, t] + array(key)[b, n // 3])
            logits = (hidden @ array(kernel))[:, 0]
            weights = np.exp(logits) / np.exp(logits).sum()
            expected = weights @ array(value)[b, n // 3]
            assert_allclose(context[b, n, t], expected, atol=1e-12)


@pytest.mark.check("blocks", layers=["DotProductAttention"])
def test_only_the_keys_that_can_be_seen_are_computed(monkeypatch):
    seen = []
    real = _attention_path.attend_in_blocks

    def watch(score, query, key, value, weights, parts):
        seen.extend((part.query_length, part.key_length) for part in parts)
        return real(score, query, key, value, weights, parts)

    monkeypatch.setattr(_attention_path, "attend_in_blocks", watch)
    query, key, value = tensors()
    for mask, expected in (
        ({}, [(11, 13)]),
        # Query row t stands at position t + 2.
        ({"use_causal_mask": True}, [(4, 6), (4, 10), (3, 13)]),
        ({"window_size": 1}, [(4, 6), (4, 6), (3, 4)]),
        (
            {"window_size": 1, "use_causal_mask": True},
            [(4, 5), (4, 5), (3, 4)],
        ),
    ):
        seen.clear()
        attend(
            DotProduct(),
            query,
            key,
            value,
            (),
            collect_masks(**mask),
            blockwise=True,
            asked=False,
        )
        assert seen == expected


@pytest.mark.check("peer", layers=["DotProductAttention"])
@pytest.mark.parametrize("blockwise", PATHS)
@pytest.mark.parametrize("num_groups", [6, 2])
@pytest.mark.parametrize("name", ["plain", "masked", "causal"])
def test_equals_torch(name, num_groups, blockwise):
    with np.load(GOLDEN / "torch.npz") as file:
        torch = {key.removeprefix("dot/"): file[key] for key in file.files}
    mask = {
        "plain": {},
        "masked": {"attention_mask": torch["mask"]},
        "causal": {"use_causal_mask": True},
    }[name]
    context, _ = attend(
        DotProduct(),
        ops.convert_to_tensor(torch["query"] / np.sqrt(5)),
        ops.convert_to_tensor(torch[f"key_{num_groups}"]),
        ops.convert_to_tensor(torch[f"value_{num_groups}"]),
        (),
        collect_masks(**mask),
        blockwise=blockwise,
    )
    assert_allclose(context, torch[f"{name}_{num_groups}"], atol=1e-12)

"""All scores at once, and in blocks: one result."""

import itertools
import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from layers import _attention_path
from layers._attention_path import Additive
from layers._attention_path import attend
from layers._attention_path import DotProduct
from layers._blockwise import Dropout
from layers._random_bits import draw_seed
from layers.masks import collect_masks

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


def tensors(num_groups=6, dtype="float64"):
    return (
        tf.constant(DRAW(size=(2, 6, 11, 5)), dtype),
        tf.constant(DRAW(size=(2, num_groups, 13, 5)), dtype),
        tf.constant(DRAW(size=(2, num_groups, 13, 7)), dtype),
    )


def score_of(kind, dtype="float64"):
    if kind == "dot":
        return DotProduct(), ()
    return Additive(), (tf.constant(DRAW(size=(5, 1)), dtype),)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    # Blocks of 4, 3 or 1 queries, the last one not full.
    monkeypatch.setattr(_attention_path, "BLOCK_SIZE", 4 * 13)
    monkeypatch.setattr(_attention_path, "NUM_PARTS", 3)


def run(kind, inputs, weights, mask, blockwise, direction, jit=False, **more):
    """Context and gradients of all inputs and weights."""
    score, _ = score_of(kind)

    @tf.function(jit_compile=jit)
    def train(inputs, weights):
        with tf.GradientTape() as tape:
            tape.watch([inputs, weights])
            context, _ = attend(
                score,
                *inputs,
                weights,
                collect_masks(**mask),
                blockwise=blockwise,
                asked=False,
                **more,
            )
            loss = tf.reduce_sum(context * direction)
        return context, tape.gradient(loss, [*inputs, *weights])

    context, gradients = train(inputs, weights)
    return [context.numpy(), *(gradient.numpy() for gradient in gradients)]


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize(
    "kind, num_groups",
    [(kind, groups) for kind in GROUPS for groups in GROUPS[kind]],
)
def test_blocks_equal_all_at_once(kind, num_groups, mask):
    inputs = tensors(num_groups)
    _, weights = score_of(kind)
    direction = DRAW(size=(2, 6, 11, 7))
    plain, blocks = (
        run(kind, inputs, weights, MASKS[mask], blockwise, direction)
        for blockwise in (False, True)
    )
    for left, right in zip(plain, blocks):
        assert np.isfinite(left).all() and np.abs(left).max() > 0.1
        np.testing.assert_allclose(right, left, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", GROUPS)
@pytest.mark.parametrize("mask", ["all", "empty row"])
def test_blocks_compiled(kind, mask):
    inputs = tensors(2)
    _, weights = score_of(kind)
    direction = DRAW(size=(2, 6, 11, 7))
    plain, blocks = (
        run(kind, inputs, weights, MASKS[mask], blockwise, direction, jit=True)
        for blockwise in (False, True)
    )
    for left, right in zip(plain, blocks):
        np.testing.assert_allclose(right, left, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", GROUPS)
@pytest.mark.parametrize("mask", ["none", "causal window"])
def test_dropout_is_the_same_on_both_paths(kind, mask):
    inputs = tensors(2)
    _, weights = score_of(kind)
    direction = DRAW(size=(2, 6, 11, 7))
    seed = draw_seed(keras.random.SeedGenerator(3))
    plain, blocks = (
        run(
            kind,
            inputs,
            weights,
            MASKS[mask],
            blockwise,
            direction,
            rate=0.3,
            seed=seed,
        )
        for blockwise in (False, True)
    )
    for left, right in zip(plain, blocks):
        np.testing.assert_allclose(right, left, rtol=1e-9, atol=1e-12)
    whole = run(kind, inputs, weights, MASKS[mask], True, direction)
    assert np.abs(whole[0] - blocks[0]).max() > 0.1


def test_every_place_of_the_dropout_counts_once():
    # 2 rows of 6 heads of 11 queries, in parts of 4 rows and of 5 columns.
    seed = tf.constant([5, 6], dtype="uint32")
    ones = np.ones((2 * 6 * 11, 13), "float32")
    whole = Dropout(0.5, seed, (11, 13))(ones, 0, 0).numpy()
    for row, first in itertools.product(range(12), (0, 4, 8)):
        part = Dropout(0.5, seed, (11, 13), first_key=5)(
            ones[: min(4, 11 - first), 5:10], row, first
        )
        begin = row * 11 + first
        expected = whole[begin : begin + len(part), 5:10]
        np.testing.assert_array_equal(part, expected)


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("blockwise", [True, None])
@pytest.mark.parametrize("kind", GROUPS)
def test_lengths_known_in_the_graph_only(kind, blockwise, jit):
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
            loss = tf.reduce_sum(context**2)
        return context, scores, tape.gradient(loss, [query, key, value])

    inputs = tensors(2)
    traced = tf.function(
        train,
        jit_compile=jit,
        input_signature=[
            tf.TensorSpec(
                (None, tensor.shape[1], None, tensor.shape[3]), "float64"
            )
            for tensor in inputs
        ],
    )
    for length in (11, 3):
        some = (inputs[0][:, :, :length], *inputs[1:])
        for left, right in zip(
            tf.nest.flatten(train(*some)), tf.nest.flatten(traced(*some))
        ):
            np.testing.assert_allclose(right, left, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    "kind, lengths, blocks",
    [
        ("dot", (1024, 1024), True),
        ("dot", (1024, 1023), False),
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
    query, key = (tf.zeros(shape) for shape in shapes)
    attend(
        score,
        query,
        key,
        key,
        (tf.zeros((shapes[0][-1], 1)),) if kind == "additive" else (),
        collect_masks(),
        asked=False,
    )
    assert bool(taken) == blocks


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
        assert context.dtype == dtype
        assert scores.dtype == "float32"
        contexts.append(np.asarray(context, "float32"))
    tolerance = {"float16": 5e-3, "bfloat16": 4e-2, "float32": 1e-6}[dtype]
    np.testing.assert_allclose(*contexts, atol=tolerance)


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
    assert np.isfinite(contexts[1]).all()
    np.testing.assert_allclose(contexts[1], contexts[0], atol=1e-12)


def test_equals_the_formula():
    query, key, value = tensors(3)
    context, scores = attend(
        DotProduct(), query, key, value, (), collect_masks(), blockwise=True
    )
    expected = np.zeros((2, 6, 11, 7))
    weights = np.zeros((2, 6, 11, 13))
    for b, n, t in np.ndindex(2, 6, 11):
        group = n // 2
        logits = key[b, group].numpy() @ query[b, n, t].numpy()
        weights[b, n, t] = np.exp(logits) / np.exp(logits).sum()
        expected[b, n, t] = weights[b, n, t] @ value[b, group].numpy()
    np.testing.assert_allclose(context, expected, atol=1e-12)
    np.testing.assert_allclose(scores, weights, atol=1e-12)


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
            hidden = np.tanh(query[b, n, t] + key[b, n // 3])
            logits = (hidden @ kernel.numpy())[:, 0]
            weights = np.exp(logits) / np.exp(logits).sum()
            expected = weights @ value[b, n // 3].numpy()
            np.testing.assert_allclose(context[b, n, t], expected, atol=1e-12)


def test_only_the_keys_that_can_be_seen_are_computed(monkeypatch):
    seen = []
    real = _attention_path.attend_in_blocks

    def watch(score, query, key, *others):
        seen.append((ops.shape(query)[2], ops.shape(key)[2]))
        return real(score, query, key, *others)

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


@pytest.mark.parametrize("blockwise", [False, True])
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
        tf.constant(torch["query"] / np.sqrt(5)),
        tf.constant(torch[f"key_{num_groups}"]),
        tf.constant(torch[f"value_{num_groups}"]),
        (),
        collect_masks(**mask),
        blockwise=blockwise,
    )
    np.testing.assert_allclose(
        context, torch[f"{name}_{num_groups}"], atol=1e-12
    )

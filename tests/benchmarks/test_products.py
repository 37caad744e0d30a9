"""Counts of matrix products, by hand and against the graph of our model."""

import collections

import numpy as np
import pytest
import tensorflow as tf

import zoo
from benchmarks import _products
from benchmarks._workers import Worker

# Patches, their numbers: 4 and 27; tokens of the batch: 2 x 5.
VISION = {
    "batch_size": 2,
    "image_size": 6,
    "num_classes": 5,
    "patch_size": 3,
    "num_layers": 7,
    "num_heads": 1,
    "hidden_dim": 11,
    "intermediate_dim": 13,
}


def test_one_product():
    # Three times four pairs of 5 x 7 and 7 x 2: 70 multiplications each, and
    # as many additions.
    product = _products.Product("any", 3, 4, 5, 7, 2)
    assert product.flops == 12 * 140


def test_attention_by_hand():
    products = _products.attention_products(
        batch_size=2, length=3, num_heads=5, key_dim=7
    )
    # 6 tokens of 35 numbers; 10 heads of 3 x 3 scores.
    assert {each.name: each.flops for each in products} == {
        "projections": 3 * 2 * 6 * 35 * 35,
        "scores": 2 * 10 * 3 * 3 * 7,
        "context": 2 * 10 * 3 * 3 * 7,
        "outputs": 2 * 6 * 35 * 35,
    }
    assert _products.forward_flops(products) == 61_320
    assert _products.forward_flops(products, causal=True) == 60_060
    assert _products.training_flops(products) == 183_960
    assert _products.training_flops(products, causal=True) == 180_180


def test_vision_transformer_by_hand():
    products = _products.vision_products(**VISION)
    patches = 2 * 8 * 27 * 11
    layer = 4 * 2 * 10 * 11 * 11 + 2 * 2 * 2 * 5 * 5 * 11
    layer += 2 * 2 * 10 * 11 * 13
    forward = patches + 7 * layer + 2 * 2 * 11 * 5
    assert forward == 128_172
    assert _products.forward_flops(products) == forward
    # The pictures need no gradient.
    assert _products.training_flops(products) == 3 * forward - patches


def products_in(graph):
    """`{(pairs, rows, inner, columns): how many}` of all nodes of a graph."""
    found = collections.Counter()
    for node in graph.get_operations():
        if node.type not in ("MatMul", "BatchMatMulV2"):
            continue
        *batch, rows, inner = node.inputs[0].shape.as_list()
        columns = node.outputs[0].shape[-1]
        found[int(np.prod(batch)), rows, inner, columns] += 1
    return found


def test_they_are_those_of_our_model():
    sizes = {**VISION, "num_heads": 3, "hidden_dim": 12}
    batch_size, image_size = sizes.pop("batch_size"), sizes.pop("image_size")
    shape = (image_size, image_size, 3)
    model = zoo.create_model(
        "vision_transformer_tiny", image_shape=shape, **sizes
    )
    images = tf.TensorSpec((batch_size, *shape))
    graph = tf.function(model).get_concrete_function(images).graph
    expected = collections.Counter()
    for product in _products.vision_products(
        batch_size, image_size, sizes.pop("num_classes"), **sizes
    ):
        expected[product[2:]] += product.count
    assert products_in(graph) == expected


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_time_of_the_products_alone(precision):
    products = _products.attention_products(1, 5, 3, 7, count=2)
    with Worker(
        "benchmarks._products_contestant",
        1,
        framework="tensorflow",
        products=products,
        precision=precision,
        num_threads=1,
    ) as worker:
        assert 0 < worker.call("time", kind="forward", steps=2) < 10

"""Blocks of a Transformer to try."""

import numpy as np

from layers.decoder_block import DecoderBlock
from layers.encoder_block import EncoderBlock
from layers.feed_forward import FeedForward
from layers.multi_head_attention import MultiHeadAttention
from layers.rotary_embedding import RotaryEmbedding
from tests.layers.running import array

# B 2, T 5, S 3; 8 wide, the memory 7 wide.
DRAW = np.random.default_rng(0).normal
INPUTS = DRAW(size=(2, 5, 8))
VALUE = DRAW(size=(2, 3, 7))
MASK = np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]], bool)
VALUE_MASK = np.array([[1, 1, 1], [1, 0, 1]], bool)
NORMALIZATIONS = ("layer", "rms", "group", "batch")


def attention(name, **options):
    return MultiHeadAttention(2, 4, name=name, **options)


def weighted(block, *inputs):
    """The block with weights that all matter."""
    block(*inputs)
    for weight in block.trainable_variables:
        weight.assign(weight + 0.3 * DRAW(size=weight.shape))
    return block


def encoder(dtype="float64", **options):
    block = EncoderBlock(
        attention("self", dtype=dtype),
        FeedForward(11, name="feed", dtype=dtype),
        dtype=dtype,
        **options,
    )
    return weighted(block, INPUTS)


def decoder(cross=True, dtype="float64", **options):
    position = RotaryEmbedding(dtype=dtype)
    block = DecoderBlock(
        attention("self", position=position, dtype=dtype),
        attention("cross", dtype=dtype) if cross else None,
        FeedForward(11, name="feed", dtype=dtype),
        dtype=dtype,
        **options,
    )
    return weighted(block, INPUTS, *([VALUE] if cross else []))


def layer_norm(inputs, weights):
    mean = inputs.mean(axis=-1, keepdims=True)
    variance = ((inputs - mean) ** 2).mean(axis=-1, keepdims=True)
    gamma, beta = weights
    return gamma * (inputs - mean) / np.sqrt(variance + 1e-6) + beta


def numpy_normalization(block, name):
    layer = getattr(block, f"{name}_normalization")
    weights = [array(weight) for weight in (layer.gamma, layer.beta)]
    return lambda inputs: layer_norm(array(inputs), weights)

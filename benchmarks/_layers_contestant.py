"""An attention layer of ours, or what Keras has in its place."""

import keras
import numpy as np
import tensorflow as tf
from keras import ops

import layers
from benchmarks._timing import time_steps
from benchmarks._workers import peak_memory
from layers._attention_path import attend
from layers._attention_scores import DotProduct
from layers._call_masks import collect_masks


def create(task, who, sizes, jit=False, precision="float32", num_threads=2):
    """See `_workers`.

    Args:
        task: `"dot"`, `"additive"` or `"multi_head"`.
        who: `"ours"`, or `"plain"`: what Keras has, or the plain formula.
        sizes: Sizes of the inputs, by name.
        jit: Whether XLA compiles.
        precision: Policy of computation.
        num_threads: Threads of each pool.
    """
    tf.config.threading.set_intra_op_parallelism_threads(num_threads)
    keras.config.set_dtype_policy(precision)
    keras.utils.set_random_seed(0)
    return Contestant(*TASKS[task](who, **sizes), jit)


class Contestant:
    """A function of some inputs and weights, forward and with gradients."""

    def __init__(self, function, inputs, weights, jit):
        self.inputs = [tf.constant(array) for array in inputs]

        @tf.function(jit_compile=jit)
        def forward(*inputs):
            return function(*inputs)

        @tf.function(jit_compile=jit)
        def train(*inputs):
            variables = [weight.value for weight in weights()]
            with tf.GradientTape() as tape:
                tape.watch(inputs)
                outputs = tf.cast(function(*inputs), "float32")
                loss = tf.reduce_mean(outputs * outputs)
            return loss, tape.gradient(loss, [*inputs, *variables])

        self.steps = {"forward": forward, "train": train}

    def _run(self, kind):
        outputs = tf.nest.flatten(self.steps[kind](*self.inputs))
        return [output for output in outputs if output is not None]

    def results(self, path):
        """Save what the training step gives."""
        np.savez(path, *(np.asarray(array) for array in self._run("train")))

    def time(self, kind, steps):
        """Seconds of one step."""
        return time_steps(lambda: self._run(kind)[-1].numpy(), steps)

    def extra_memory(self, kind):
        """MiB that the first step asks for beyond what was there before."""
        before = peak_memory()
        self._run(kind)
        return peak_memory() - before


def _normal(*shapes):
    draw = np.random.default_rng(0).normal
    return [draw(size=shape).astype("float32") for shape in shapes]


def _dot(who, length, heads, width, causal):
    if who == "ours":
        # As the layers do it, on heads that are split already.
        def function(query, key, value):
            return attend(
                DotProduct(),
                query * width**-0.5,
                key,
                value,
                (),
                collect_masks(use_causal_mask=causal),
                asked=False,
            )[0]

        inputs = _normal(*[(1, heads, length, width)] * 3)
        return function, inputs, list

    def function(query, key, value):
        mask = None
        if causal:
            places = ops.arange(length)
            mask = (places[:, None] >= places[None, :])[None, None]
        return ops.dot_product_attention(query, key, value, mask=mask)

    inputs = [
        array.transpose(0, 2, 1, 3)
        for array in _normal(*[(1, heads, length, width)] * 3)
    ]
    return function, inputs, list


def _additive(who, batch_size, length, units, blockwise=None):
    blockwise = False if who == "plain" else blockwise
    layer = layers.AdditiveAttention(units, blockwise=blockwise)
    inputs = _normal(*[(batch_size, length, units)] * 2)
    layer.build(inputs[0].shape, inputs[1].shape)
    return layer, inputs, lambda: layer.trainable_variables


def _multi_head(who, batch_size, length, dim, heads):
    kind = {
        "ours": layers.MultiHeadAttention,
        "plain": keras.layers.MultiHeadAttention,
    }[who]
    layer = kind(num_heads=heads, key_dim=dim // heads)
    (inputs,) = _normal((batch_size, length, dim))
    layer(inputs, inputs)
    return (
        lambda states: layer(states, states),
        [inputs],
        lambda: layer.trainable_variables,
    )


TASKS = {"dot": _dot, "additive": _additive, "multi_head": _multi_head}

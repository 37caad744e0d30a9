"""What `benchmarks.gpu` times, in Keras on JAX.

Imported only where Keras runs on JAX; needs nothing else.
"""

import statistics
import time

import jax
import keras
import numpy as np
from jax import numpy as jnp
from keras import ops

import layers
import zoo
from benchmarks._products import VISION_SIZES

# An error is that of JAX, not one of Keras around it.
keras.config.disable_traceback_filtering()

POLICY = "mixed_bfloat16"
_LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def seconds_of(step, repeats, round_seconds=1.0):
    """Seconds of one call of `step`, the median over rounds of many calls.

    JAX works behind the program: a round ends when its last call is done.

    Args:
        step: A function without arguments that gives arrays.
        repeats: Number of rounds.
        round_seconds: About how long a round takes.
    """

    def run(steps):
        started = time.perf_counter()
        for _ in range(steps):
            outputs = step()
        jax.block_until_ready(outputs)
        return (time.perf_counter() - started) / steps

    run(1)  # compiles
    steps = max(1, round(round_seconds / run(1)))
    return statistics.median(run(steps) for _ in range(repeats))


def device():
    """Name of the accelerator, or of what stands in for it."""
    first = jax.devices()[0]
    return f"{first.platform}, {first.device_kind}"


def matrix_product(size):
    """The product of two square matrices, as a step."""
    draw = np.random.default_rng(0).normal
    left, right = (
        jnp.asarray(draw(size=(size, size)), "bfloat16") for _ in range(2)
    )
    multiply = jax.jit(jnp.matmul)
    return lambda: multiply(left, right)


def _compile(function, *arguments, **options):
    """The compiled function, and the MiB that it needs beside arguments and
    outputs, or None where that is not known."""
    compiled = jax.jit(function, **options).lower(*arguments).compile()
    analysis = compiled.memory_analysis()
    if analysis is None:
        return compiled, None
    return compiled, analysis.temp_size_in_bytes / 2**20


def vision_sizes(preset, overrides):
    """The sizes of a Vision Transformer, as `vision_products` names them."""
    sizes = {**zoo.get_preset(preset).architecture, **overrides}
    return {name: sizes[name] for name in VISION_SIZES}


class Training:
    """A Vision Transformer and a batch.

    Args:
        preset: Name of the preset.
        batch_size, image_size, num_classes: Sizes of the data.
        **overrides: Of the preset.
    """

    def __init__(
        self, preset, batch_size, image_size, num_classes, **overrides
    ):
        shape = (image_size, image_size, 3)
        self.model = zoo.create_model(
            preset,
            image_shape=shape,
            num_classes=num_classes,
            dtype=POLICY,
            **overrides,
        )
        self.model.build()
        self.model.compile(
            optimizer=keras.optimizers.AdamW(1e-3, weight_decay=0.05),
            loss=_LOSS,
            jit_compile=True,
        )
        generator = np.random.default_rng(0)
        images = generator.standard_normal((batch_size, *shape), "float32")
        classes = generator.integers(num_classes, size=batch_size)
        self.batch = jnp.asarray(images), jnp.asarray(classes, "int32")

    def on_batch(self):
        """`model.train_on_batch`, which waits for the loss of each step."""
        return lambda: self.model.train_on_batch(*self.batch), None

    def in_one(self):
        """The step alone, compiled as the trainer of Keras compiles it: its
        state comes from the step before and never leaves the device."""
        model, optimizer = self.model, self.model.optimizer
        optimizer.build(model.trainable_variables)

        def loss_of(trainable, others, images, classes):
            logits, others = model.stateless_call(
                trainable, others, images, training=True
            )
            return _LOSS(classes, logits), others

        def train(state, images, classes):
            trainable, others, moments = state
            (loss, others), gradients = jax.value_and_grad(
                loss_of, has_aux=True
            )(trainable, others, images, classes)
            trainable, moments = optimizer.stateless_apply(
                moments, gradients, trainable
            )
            return loss, [list(trainable), list(others), list(moments)]

        # Copies: what is donated is lost, and the model keeps its own.
        state = [
            [jnp.copy(variable.value) for variable in variables]
            for variables in (
                model.trainable_variables,
                model.non_trainable_variables,
                optimizer.variables,
            )
        ]
        compiled, memory = _compile(train, state, *self.batch, donate_argnums=0)

        def step():
            nonlocal state
            loss, state = compiled(state, *self.batch)
            return loss

        return step, memory


class FusedAttention(layers.MultiHeadAttention):
    """Ours, with what Keras calls flash attention in the place of the heart.

    On JAX that is a kernel of cuDNN, so it needs an NVIDIA GPU.
    """

    def attend_heads(self, score, query, memory, given, seed, asked, bias=None):
        # (B, N, T, H) -> (B, T, N, H); the query is scaled already.
        query, key, value = (
            ops.transpose(tensor, (0, 2, 1, 3))
            for tensor in (query, memory["key"], memory["value"])
        )
        context = ops.dot_product_attention(
            query,
            key,
            value,
            scale=1.0,
            is_causal=given.use_causal_mask,
            flash_attention=True,
        )
        return ops.transpose(context, (0, 2, 1, 3)), None


# Path of the attention: class, and whether it computes in blocks.
ATTENTION = {
    "as the layer chooses": (layers.MultiHeadAttention, None),
    "all scores": (layers.MultiHeadAttention, False),
    "flash_attention=True": (FusedAttention, None),
}


def attention(path, batch_size, length, num_heads, key_dim, causal):
    """`MultiHeadAttention` of one sequence with itself and its gradients.

    Args:
        path: A key of `ATTENTION`.
        batch_size, length, num_heads, key_dim: Sizes; the states are as wide
            as all heads.
        causal: Whether under a causal mask.

    Returns:
        A step, and the MiB that it needs beside arguments and outputs.
    """
    kind, blockwise = ATTENTION[path]
    layer = kind(num_heads, key_dim, blockwise=blockwise, dtype=POLICY)
    shape = (batch_size, length, num_heads * key_dim)
    layer.build(shape, shape)
    generator = np.random.default_rng(0)
    states, upstream = (
        jnp.asarray(generator.standard_normal(shape, "float32"), "bfloat16")
        for _ in range(2)
    )
    variables = layer.trainable_variables
    weights = [variable.value for variable in variables]

    def run(weights, states, upstream):
        def attend(weights, states):
            # `stateless_call` of a layer would leave the weights float32.
            with keras.StatelessScope(list(zip(variables, weights))):
                return layer(states, states, use_causal_mask=causal)

        outputs, pull_back = jax.vjp(attend, weights, states)
        return outputs, pull_back(upstream)

    compiled, memory = _compile(run, weights, states, upstream)
    return lambda: compiled(weights, states, upstream), memory

"""Compiling and differentiating, alike on TensorFlow, JAX and torch."""

import keras
import numpy as np
from keras import ops

BACKEND = keras.config.backend()


def compiled(function, jit=True, lengths=None):
    """The function in a graph.

    Args:
        function: Takes and returns nests of tensors.
        jit: Whether XLA compiles it. On JAX everything is compiled; torch
            runs as it is.
        lengths: Shapes of the arguments, in which None is a length that the
            graph alone will know. JAX and torch know all lengths.
    """
    if BACKEND == "tensorflow":
        import tensorflow as tf

        signature = None
        if lengths is not None:
            signature = [
                tf.TensorSpec(shape, keras.config.floatx()) for shape in lengths
            ]
        return tf.function(function, jit_compile=jit, input_signature=signature)
    if BACKEND == "jax":
        import jax

        def stateless(*arguments):
            # Seeds move on in the call and are as before after it.
            with keras.StatelessScope():
                return function(*arguments)

        return jax.jit(stateless)
    return function


def gradients(function, tensors=(), weights=(), jit=None):
    """Gradients of a scalar.

    Args:
        function: `function(*tensors)` gives a scalar, and uses the weights.
        tensors: Arrays or tensors.
        weights: Variables of Keras.
        jit: Whether to compile; None runs eagerly.

    Returns:
        Two lists of arrays: for the tensors, and for the weights.
    """
    tensors = [ops.convert_to_tensor(tensor) for tensor in tensors]
    found = _DIFFERENTIATE[BACKEND](function, tensors, list(weights), jit)
    return tuple([np.asarray(array) for array in part] for part in found)


def _of_tensorflow(function, tensors, weights, jit):
    import tensorflow as tf

    def differentiate(*tensors):
        values = [weight.value for weight in weights]
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            result = function(*tensors)
        return tape.gradient(
            result,
            [list(tensors), values],
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )

    if jit is not None:
        differentiate = tf.function(differentiate, jit_compile=jit)
    return tf.nest.map_structure(tf.convert_to_tensor, differentiate(*tensors))


def _of_jax(function, tensors, weights, jit):
    import jax

    def scalar(tensors, values):
        pairs = list(zip(weights, values))
        with keras.StatelessScope(state_mapping=pairs):
            return function(*tensors)

    differentiate = jax.grad(scalar, argnums=(0, 1))
    if jit is not None:
        differentiate = jax.jit(differentiate)
    return differentiate(tensors, [weight.value for weight in weights])


def _of_torch(function, tensors, weights, jit):
    import torch

    leaves = [tensor.detach().requires_grad_() for tensor in tensors]
    values = [weight.value for weight in weights]
    result = function(*leaves)
    found = torch.autograd.grad(result, [*leaves, *values], allow_unused=True)
    found = [
        torch.zeros_like(tensor) if gradient is None else gradient
        for gradient, tensor in zip(found, [*leaves, *values])
    ]
    return found[: len(leaves)], found[len(leaves) :]


_DIFFERENTIATE = {
    "tensorflow": _of_tensorflow,
    "jax": _of_jax,
    "torch": _of_torch,
}

"""Compiling, differentiating and comparing, alike on TensorFlow, JAX and
torch."""

import keras
import numpy as np
import pytest
from keras import ops
from keras.src.backend import get_keras_mask

BACKEND = keras.config.backend()
# Whether XLA compiles: TensorFlow has graphs without it, JAX has none, and
# torch runs functions as they are.
JIT = {"tensorflow": (False, True), "jax": (True,), "torch": (False,)}[BACKEND]
# The best of them, for `model.compile`.
JIT_COMPILE = JIT[-1]
each_jit = pytest.mark.parametrize("jit", JIT)


def array(tensor, dtype=None):
    """A tensor, a variable or anything like an array, as one of NumPy."""
    if isinstance(tensor, keras.Variable):
        tensor = tensor.value
    if ops.is_tensor(tensor):
        tensor = ops.convert_to_numpy(tensor)
    return np.asarray(tensor, dtype)


def arrays(nest):
    """All the tensors of a nest as arrays."""
    return keras.tree.map_structure(array, nest)


def assert_allclose(actual, expected, **tolerance):
    """That of NumPy, also for tensors."""
    np.testing.assert_allclose(array(actual), array(expected), **tolerance)


def assert_array_equal(actual, expected):
    """That of NumPy, also for tensors."""
    np.testing.assert_array_equal(array(actual), array(expected))


def dtype_of(tensor):
    """The name of its type, which backends write differently."""
    return keras.backend.standardize_dtype(tensor.dtype)


def mask_of(tensor):
    """The implicit mask that the tensor carries, or None."""
    return get_keras_mask(tensor)


def weighted_sum(outputs, weights):
    """A scalar whose gradient at the outputs is `weights`."""
    return ops.sum(outputs * ops.cast(weights, outputs.dtype))


def compiled(function, jit=True, signature=None, variables=()):
    """The function in a graph.

    Args:
        function: Takes and returns nests of tensors.
        jit: Whether XLA compiles it, one of `JIT`; None leaves it as it is.
        signature: Symbols like the arguments, in which None is a length that
            the graph alone will know; JAX and torch know all lengths.
        variables: Those that it changes, or that change between calls. JAX
            knows of others what they are in the first call.
    """
    if jit is None:
        return function
    if BACKEND == "tensorflow":
        import tensorflow as tf

        if signature is not None:
            signature = [
                tf.TensorSpec(symbol.shape, symbol.dtype)
                for symbol in signature
            ]
        return tf.function(function, jit_compile=jit, input_signature=signature)
    if BACKEND == "jax":
        return _by_jax(function, list(variables))
    return function


def _by_jax(function, variables):
    import jax

    @jax.jit
    def stateless(values, *arguments):
        pairs = zip(variables, values)
        with keras.StatelessScope(pairs, collect_losses=True) as scope:
            outputs = function(*arguments)
        return outputs, [scope.get_current_value(each) for each in variables]

    def call(*arguments):
        values = [variable.value for variable in variables]
        outputs, values = stateless(values, *arguments)
        for variable, value in zip(variables, values):
            variable.assign(value)
        return outputs

    return call


def graphs(function, signature=None, variables=()):
    """The function in each kind of graph that there is.

    Args:
        function, signature, variables: As in `compiled`; with a signature
            there are graphs of known and of unknown lengths.
    """
    for jit in JIT:
        yield compiled(function, jit, variables=variables)
        if signature is not None and BACKEND == "tensorflow":
            yield compiled(function, jit, signature)


def gradients(function, tensors=(), weights=(), jit=None):
    """Gradients of a scalar.

    Args:
        function: `function(*tensors)` gives a scalar, and uses the weights.
        tensors: Arrays or tensors.
        weights: Variables of Keras.
        jit: Whether XLA compiles, one of `JIT`; None runs eagerly.

    Returns:
        Two lists of arrays: for the tensors, and for the weights.
    """

    def with_outputs(*tensors):
        return function(*tensors), ()

    return outputs_and_gradients(with_outputs, tensors, weights, jit)[1:]


def outputs_and_gradients(function, tensors=(), weights=(), jit=None):
    """As `gradients`, but the function gives a scalar and a nest of outputs,
    which come first in the result."""
    tensors = [ops.convert_to_tensor(tensor) for tensor in tensors]
    differentiate = _DIFFERENTIATE[BACKEND]
    return arrays(differentiate(function, tensors, list(weights), jit))


def _of_tensorflow(function, tensors, weights, jit):
    import tensorflow as tf

    def differentiate(*tensors):
        watched = [list(tensors), [weight.value for weight in weights]]
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            scalar, outputs = function(*tensors)
        found = tape.gradient(
            scalar,
            watched,
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )
        # Those of a lookup are slices.
        return outputs, *tf.nest.map_structure(tf.convert_to_tensor, found)

    if jit is not None:
        differentiate = tf.function(differentiate, jit_compile=jit)
    return differentiate(*tensors)


def _of_jax(function, tensors, weights, jit):
    import jax

    def stateless(tensors, values):
        pairs = zip(weights, values)
        with keras.StatelessScope(pairs, collect_losses=True):
            return function(*tensors)

    differentiate = jax.grad(stateless, argnums=(0, 1), has_aux=True)
    if jit is not None:
        differentiate = jax.jit(differentiate)
    values = [weight.value for weight in weights]
    found, outputs = differentiate(tensors, values)
    return outputs, *found


def _of_torch(function, tensors, weights, jit):
    import torch

    leaves = [tensor.detach().clone().requires_grad_() for tensor in tensors]
    watched = [*leaves, *(weight.value for weight in weights)]
    scalar, outputs = function(*leaves)
    found = torch.autograd.grad(scalar, watched, materialize_grads=True)
    return outputs, list(found[: len(leaves)]), list(found[len(leaves) :])


_DIFFERENTIATE = {
    "tensorflow": _of_tensorflow,
    "jax": _of_jax,
    "torch": _of_torch,
}

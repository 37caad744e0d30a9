"""Loops over time and over blocks."""

import keras
from keras import ops


class _Step:
    """A function in the form that `keras.layers.RNN` runs as a cell."""

    def __init__(self, function, states, output_size, dtype_policy):
        self.call = function
        self.compute_dtype = dtype_policy.compute_dtype
        self.state_size = [state.shape[-1] for state in states]
        self.output_size = output_size

    def __call__(self, inputs, states):
        return self.call(inputs, states)


def recur(function, inputs, states, output_size, dtype_policy):
    """Run `function` over the time axis.

    Of the loops that Keras has, that of `keras.layers.RNN` is the one that
    can be trained on every backend, compiled, and at unknown length.

    Args:
        function: `function(inputs of a step, states) -> (output, states)`.
        inputs: `(batch_size, length, input_dim)`.
        states: List of the tensors before the first step. The loop makes
            them floats of the policy's computation.
        output_size: Width of the output of a step.
        dtype_policy: The policy of the layer that calls.

    Returns:
        The outputs of all steps, `(batch_size, length, output_size)`.
    """
    loop = keras.layers.RNN(
        _Step(function, states, output_size, dtype_policy),
        return_sequences=True,
        dtype=dtype_policy,
    )
    return loop(inputs, initial_state=states)


def stacking_loop(step, carry, outputs, reverse=False):
    """`keras.ops.scan`, whose outputs need not be like its carry.

    That of Keras needs it on TensorFlow. This loop has no gradient there: it
    is for functions that bring their own.

    Args:
        step: `step(index, carry) -> (carry, outputs of this index)`.
        carry: A nest of tensors.
        outputs: Tuple of zeros `(length, ...)`, where the outputs go.
        reverse: Whether to begin with the last index.

    Returns:
        The last carry, and the outputs.
    """
    length = ops.shape(outputs[0])[0]

    def body(count, carry, outputs):
        index = length - 1 - count if reverse else count
        carry, new = step(index, carry)
        count = _after(new[0], count)
        at = ops.reshape(index, (1, 1))
        outputs = tuple(
            ops.scatter_update(stack, at, ops.cast(rows, stack.dtype)[None])
            for stack, rows in zip(outputs, new)
        )
        return count + 1, carry, outputs

    _, carry, outputs = ops.while_loop(
        lambda count, *_: count < length,
        body,
        (ops.convert_to_tensor(0, dtype="int32"), carry, outputs),
    )
    return carry, outputs


def _after(tensor, count):
    """`count`, but known only once `tensor` is.

    TensorFlow runs up to ten rounds of a loop at once where it can, which
    here would only cost ten times the memory.
    """
    first = ops.reshape(tensor, (-1,))[0]
    zero = ops.minimum(ops.cast(first > 0, "int32"), 0)
    return count + zero

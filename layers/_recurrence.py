"""One loop over time, for cells of our own."""

import keras


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

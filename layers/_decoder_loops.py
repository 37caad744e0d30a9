"""All steps of an `AttentionDecoder`: states and contexts side by side."""

import keras
from keras import ops

from layers import recording
from layers._additive_gru import additive_gru
from layers._attention_layer import project_features
from layers._recurrence import recur


def run_steps(decoder, inputs, initial_state, memory):
    """With any attention and cell.

    Args:
        decoder: An `AttentionDecoder`.
        inputs: `(batch_size, target_length, embedding_dim)`.
        initial_state: `(batch_size, units)`.
        memory: What `decoder.project` returned.

    Returns:
        `(batch_size, target_length, units + context_dim)`.
    """
    tensors = keras.tree.flatten(memory)
    count = decoder.cell.num_states

    def step(inputs, states):
        # The memory travels as further states that no step changes: the loop
        # of Keras hands its cell nothing else, and states are not stacked.
        given = [
            # The loop made them floats; masks become boolean again.
            ops.cast(state, tensor.dtype)
            for state, tensor in zip(states[count:], tensors)
        ]
        new_states, context = decoder.advance(
            inputs,
            states[:count],
            keras.tree.pack_sequence_as(memory, given),
        )
        output = ops.concatenate([new_states[0], context], axis=-1)
        return output, [*new_states, *states[count:]]

    with recording.pause_recording():
        return recur(
            step,
            decoder.prepare(inputs),
            [*decoder.start(initial_state), *tensors],
            decoder.units + decoder.context_dim,
            decoder.dtype_policy,
        )


def run_additive_gru(decoder, inputs, initial_state, memory):
    """As `run_steps`, for the decoder of the paper: faster to fit."""
    attention = decoder.attention
    steps = ops.transpose(inputs, (1, 0, 2))
    gates = decoder.input_projection(steps)
    state_kernel, input_kernel, recurrent_kernel, *others = (
        ops.cast(ops.convert_to_tensor(weight), gates.dtype)
        for weight in (
            attention.query_kernel[: decoder.units],
            attention.query_kernel[decoder.units :],
            decoder.cell.recurrent_kernel,
            decoder.context_projection.kernel,
            attention.score_kernel,
            decoder.cell.recurrent_bias,
        )
    )
    if decoder.input_in_query:
        queries = project_features(ops.cast(steps, gates.dtype), input_kernel)
    else:
        sizes = ops.shape(gates)[:2]
        queries = ops.zeros((*sizes, attention.units), gates.dtype)
    mask = memory.get("mask")
    if mask is None:
        mask = ops.ones(ops.shape(memory["value"])[:2], dtype="bool")
    outputs = additive_gru(
        gates,
        queries,
        memory["key"],
        memory["value"],
        ops.cast(mask, gates.dtype),
        initial_state,
        ops.concatenate([state_kernel, recurrent_kernel], axis=-1),
        *others,
    )
    return ops.transpose(outputs, (1, 0, 2))

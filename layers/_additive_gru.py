"""The steps of a GRU decoder with additive attention, with their gradient.

Backends differentiate a loop one step at a time: they keep every
intermediate of every step, and add to the gradient of each weight in each
step. Here the gradient is written out. A step keeps its gates, weights and
context; tanh of the scores, the one large tensor, is computed again; and the
gradient of each weight is one product after the loop.

Axes: T steps, B batch, S keys, H units of the state, A of the scores,
D of the values.
"""

from keras import ops

from layers._recurrence import stacking_loop
from layers.masks import masked_softmax


def _flat(tensor):
    """All axes but the last as one."""
    return ops.reshape(tensor, (-1, tensor.shape[-1]))


def _loop(step, carry, inputs, widths, reverse=False):
    """Run over the steps of time.

    Args:
        step: `step(carry, inputs of one step) -> (carry, outputs)`.
        carry: A nest of tensors.
        inputs: Tuple of tensors `(T, B, ...)`.
        widths: Width of each output `(B, width)`.
        reverse: Whether to begin with the last step.

    Returns:
        The last carry, and the tuple of outputs `(T, B, width)`.
    """
    sizes, dtype = ops.shape(inputs[0])[:2], inputs[0].dtype
    return stacking_loop(
        lambda index, carry: step(
            carry, tuple(ops.take(tensor, index, axis=0) for tensor in inputs)
        ),
        carry,
        tuple(ops.zeros((*sizes, width), dtype=dtype) for width in widths),
        reverse=reverse,
    )


def _score_features(query, key):
    """tanh(query + key): `(B, S, A)`."""
    return ops.tanh(query[:, None, :] + key)


def _step(state, inputs, memory, weights):
    """One step: the new state, and what its gradient needs."""
    key, value, allowed = memory
    state_kernel, context_kernel, score_kernel, bias = weights
    units, width = state.shape[-1], key.shape[-1]
    gates, query = inputs
    products = ops.matmul(state, state_kernel)
    query = query + products[:, :width]
    # (B * S, A) x (A, 1)
    features = _flat(_score_features(query, key))
    logits = ops.reshape(ops.matmul(features, score_kernel), ops.shape(allowed))
    scores = masked_softmax(logits, allowed > 0)
    weighted = ops.cast(scores, value.dtype)[:, None, :]
    context = ops.squeeze(ops.matmul(weighted, value), axis=1)
    gates = gates + ops.matmul(context, context_kernel)
    recurrent = products[:, width:]
    both = ops.sigmoid(gates[:, : 2 * units] + recurrent[:, : 2 * units])
    update, reset = both[:, :units], both[:, units:]
    inner = recurrent[:, 2 * units :] + bias
    candidate = ops.tanh(gates[:, 2 * units :] + reset * inner)
    new_state = update * state + (1.0 - update) * candidate
    kept = ops.concatenate([both, candidate, inner], axis=-1)
    return new_state, (new_state, context, scores, query, kept)


def _step_gradient(carry, inputs, memory, weights):
    """The gradient of one step, from that of the steps after it."""
    upstream, key_gradient, score_kernel_gradient = carry
    from_state, from_context, previous, scores, query, kept = inputs
    key, value, _ = memory
    state_kernel, context_kernel, score_kernel = weights  # transposed
    update, reset, candidate, inner = ops.split(kept, 4, axis=-1)
    # The cell.
    upstream = upstream + from_state
    at_candidate = upstream * (1.0 - update) * (1.0 - candidate * candidate)
    at_update = upstream * (previous - candidate) * update * (1.0 - update)
    at_reset = at_candidate * inner * reset * (1.0 - reset)
    at_both = ops.concatenate([at_update, at_reset], axis=-1)
    at_gates = ops.concatenate([at_both, at_candidate], axis=-1)
    # The attention.
    at_context = from_context + ops.matmul(at_gates, context_kernel)
    at_scores = ops.squeeze(ops.matmul(value, at_context[:, :, None]), axis=-1)
    at_scores = ops.cast(at_scores, scores.dtype)
    mean = ops.sum(scores * at_scores, axis=-1, keepdims=True)
    at_logits = ops.cast(scores * (at_scores - mean), key.dtype)
    features = _score_features(query, key)
    score_kernel_gradient = score_kernel_gradient + ops.matmul(
        ops.reshape(at_logits, (1, -1)), _flat(features)
    )
    at_sum = (1.0 - features * features) * (
        at_logits[:, :, None] * score_kernel
    )
    at_products = ops.concatenate(
        [ops.sum(at_sum, axis=1), at_both, at_candidate * reset], axis=-1
    )
    upstream = upstream * update + ops.matmul(at_products, state_kernel)
    carry = (upstream, key_gradient + at_sum, score_kernel_gradient)
    return carry, (at_gates, at_context, at_products)


@ops.custom_gradient
def additive_gru(
    gates,
    queries,
    key,
    value,
    allowed,
    initial_state,
    state_kernel,
    context_kernel,
    score_kernel,
    bias,
):
    """All steps of the decoder:

        c_t = sum over s of softmax(v . tanh(W_q s_{t-1} + q_t + key)) value
        s_t = GRU(gates_t + C c_t, s_{t-1}), as in `RecurrentCell`

    Args:
        gates: Projected inputs of the cell, `(T, B, 3 H)`.
        queries: What the inputs add to the projected queries,
            `(T, B, A)`.
        key: Projected keys, `(B, S, A)`.
        value: `(B, S, D)`.
        allowed: 1 where a key may be attended, else 0; `(B, S)`. A float,
            as all that a gradient passes through must be.
        initial_state: `(B, H)`.
        state_kernel: [W_q; U], `(H, A + 3 H)`.
        context_kernel: C, `(D, 3 H)`.
        score_kernel: v, `(A, 1)`.
        bias: Recurrent bias of the candidate, `(H,)`.

    Returns:
        The states and the contexts side by side, `(T, B, H + D)`.
    """
    memory = (key, value, allowed)
    weights = (state_kernel, context_kernel, score_kernel, bias)
    units = initial_state.shape[-1]
    widths = (units, value.shape[-1], ops.shape(key)[1], key.shape[-1])
    _, (states, contexts, scores, all_queries, kept) = _loop(
        lambda state, inputs: _step(state, inputs, memory, weights),
        initial_state,
        (gates, queries),
        (*widths, 4 * units),
    )

    def gradient(*arguments, upstream=None):
        # TensorFlow passes it as an argument, JAX and torch by name.
        upstream = arguments[0] if upstream is None else upstream
        from_states, from_contexts = ops.split(upstream, [units], axis=-1)
        previous = ops.concatenate([initial_state[None], states[:-1]], axis=0)
        transposed = tuple(ops.transpose(kernel) for kernel in weights[:3])
        start = (
            ops.zeros_like(initial_state),
            ops.zeros_like(key),
            ops.zeros_like(transposed[2]),
        )
        carry, (at_gates, at_contexts, at_products) = _loop(
            lambda carry, inputs: _step_gradient(
                carry, inputs, memory, transposed
            ),
            start,
            (from_states, from_contexts, previous, scores, all_queries, kept),
            (3 * units, value.shape[-1], key.shape[-1] + 3 * units),
            reverse=True,
        )
        width = key.shape[-1]
        # TBS,TBD->BSD, and TBH,TBG->HG for each kernel.
        at_value = ops.matmul(
            ops.cast(ops.transpose(scores, (1, 2, 0)), value.dtype),
            ops.transpose(at_contexts, (1, 0, 2)),
        )
        return (
            at_gates,
            at_products[..., :width],
            carry[1],
            at_value,
            ops.zeros_like(allowed),
            carry[0],
            _kernel_gradient(previous, at_products),
            _kernel_gradient(contexts, at_gates),
            ops.transpose(carry[2]),
            ops.sum(at_products[..., -initial_state.shape[-1] :], axis=(0, 1)),
        )

    return ops.concatenate([states, contexts], axis=-1), gradient


def _kernel_gradient(inputs, at_outputs):
    return ops.matmul(ops.transpose(_flat(inputs)), _flat(at_outputs))

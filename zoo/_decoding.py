"""Decoding: from a decoder's next-token logits to whole sequences.

A decoder is two functions: `start(memory) -> state` and
`step(tokens, state) -> (logits, state)`. Everything here is plain
`keras.ops`, so it runs eagerly, in a graph, and in an exported model.
"""

from keras import ops

PADDING_ID, UNKNOWN_ID, START_ID, END_ID = range(4)

# Tokens that are no text. The unknown token is never a better translation
# than the best known one.
SUPPRESSED_IDS = (PADDING_ID, UNKNOWN_ID, START_ID)


def next_token_log_probabilities(logits):
    """Log-probabilities in float32 of the tokens that may come next."""
    logits = ops.cast(logits, "float32")
    suppressed = ops.any(
        ops.equal(
            ops.arange(logits.shape[-1])[:, None],
            ops.convert_to_tensor(SUPPRESSED_IDS, dtype="int32")[None, :],
        ),
        axis=-1,
    )
    log_probabilities = ops.log_softmax(logits, axis=-1)
    return ops.where(suppressed, -1e30, log_probabilities)


def greedy_search(step, state, batch_size, max_length, limits=None):
    """Take the most probable token at each step, until END.

    Args:
        step: `step(tokens, state) -> (logits, state)` with `tokens` of shape
            `(batch_size,)` and `logits` of shape
            `(batch_size, vocabulary_size)`.
        state: The state before the first step, a nest of tensors.
        batch_size: B, an integer or a scalar tensor.
        max_length: Most tokens to give, END included; an integer or a
            scalar tensor. A sequence that reaches it has no END.
        limits: The same for each sequence, `(batch_size,)`, where they have
            less than `max_length`.

    Returns:
        Token ids `(batch_size, max_length)`, END kept and padded with 0, and
        the summed log-probability of the tokens, END included,
        `(batch_size,)`.
    """
    positions = ops.arange(max_length, dtype="int32")[None, :]

    def unfinished(index, tokens, finished, *_):
        return ops.logical_and(
            index < max_length, ops.logical_not(ops.all(finished))
        )

    def extend(index, tokens, finished, score, output, state):
        logits, state = step(tokens, state)
        log_probabilities = next_token_log_probabilities(logits)
        best = ops.cast(ops.argmax(log_probabilities, axis=-1), "int32")
        tokens = ops.where(finished, PADDING_ID, best)
        gain = ops.max(log_probabilities, axis=-1)
        score = score + ops.where(finished, 0.0, gain)
        output = ops.where(ops.equal(positions, index), tokens[:, None], output)
        finished = ops.logical_or(finished, ops.equal(tokens, END_ID))
        if limits is not None:
            finished = ops.logical_or(finished, index + 1 >= limits)
        return index + 1, tokens, finished, score, output, state

    _, _, _, score, output, _ = ops.while_loop(
        unfinished,
        extend,
        (
            ops.convert_to_tensor(0, dtype="int32"),
            ops.full((batch_size,), START_ID, dtype="int32"),
            ops.zeros((batch_size,), dtype="bool"),
            ops.zeros((batch_size,), dtype="float32"),
            ops.zeros((batch_size, max_length), dtype="int32"),
            state,
        ),
    )
    return output, score

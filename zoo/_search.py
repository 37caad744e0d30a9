"""The loop of the decoders that follow one path: greedy and sampling."""

from keras import ops

from zoo._next_token import END_ID
from zoo._next_token import NextToken
from zoo._next_token import PADDING_ID
from zoo._next_token import shift_logits
from zoo._next_token import START_ID


def one_path(
    step, state, batch_size, max_length, choose, limits=None, rules=None
):
    """Choose a token at each step, until END.

    Args:
        step, state, batch_size, max_length, limits: As in
            `zoo._decoding.decode`.
        choose: `choose(index, logits)`, given the number of the step and
            `(batch_size, vocabulary_size)`, gives the tokens `(batch_size,)`.
        rules: `NextToken`, what may come next.

    Returns:
        Token ids `(batch_size, max_length)`, END kept and padded with 0, and
        the summed log-probability of the tokens, END included,
        `(batch_size,)`.
    """
    rules = rules or NextToken()
    positions = ops.arange(max_length, dtype="int32")[None, :]

    def unfinished(index, tokens, finished, *_):
        return ops.logical_and(
            index < max_length, ops.logical_not(ops.all(finished))
        )

    def extend(index, tokens, finished, score, output, state):
        logits, state = step(tokens, state)
        logits, normalizer = shift_logits(logits)
        ruled = rules.apply(logits, index, output)
        chosen = ops.cast(choose(index, ruled), "int32")
        logit = ops.take_along_axis(logits, chosen[:, None], axis=1)
        gain = (logit - normalizer)[:, 0]
        tokens = ops.where(finished, PADDING_ID, chosen)
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

"""Which token may come next in a translation, and how probable it is."""

import dataclasses

from keras import ops

PADDING_ID, UNKNOWN_ID, START_ID, END_ID = range(4)

# Tokens that are no text. The unknown token is never a better translation
# than the best known one.
SUPPRESSED_IDS = (PADDING_ID, UNKNOWN_ID, START_ID)

# The log-probability of what may not come, and of END where it is too early and
# nothing else may come either: then END it is.
NEVER, HARDLY = -1e30, -1e29


def shift_logits(logits):
    """Logits of which the largest is 0, and their normalizer.

    The log-probability of a token is its logit less the normalizer. It is not
    computed of all tokens here, as few of them are looked at. It is never above
    0, and near 0 within 1e-7.

    Args:
        logits: `(batch_size, vocabulary_size)`.

    Returns:
        The logits less the largest of them, and the logarithm of the sum of
        the exponentials of these, `(batch_size, 1)`. Both are float32.
    """
    logits = ops.cast(logits, "float32")
    logits = logits - ops.max(logits, axis=-1, keepdims=True)
    total = ops.sum(ops.exp(logits), axis=-1, keepdims=True)
    return logits, ops.log(total)


@dataclasses.dataclass(frozen=True)
class NextToken:
    """The rules for the next token.

    Attributes:
        min_length: Fewest tokens before END.
        no_repeat_ngram: No n tokens in a row stand in a sequence twice; 0 is
            any.
    """

    min_length: int = 0
    no_repeat_ngram: int = 0

    def apply(self, logits, index, output):
        """What the rules make of the logits.

        Args:
            logits: `(batch_size, vocabulary_size)`, float32.
            index: Number of tokens so far, a scalar.
            output: Those tokens, `(batch_size, max_length)`.

        Returns:
            The logits, with `NEVER` or `HARDLY` for what may not come.
        """
        ids = ops.arange(logits.shape[-1])
        suppressed = ops.any(
            ops.equal(ids[:, None], ops.convert_to_tensor(SUPPRESSED_IDS)),
            axis=-1,
        )
        ruled = ops.where(suppressed, NEVER, logits)
        if self.no_repeat_ngram:
            ruled = self._without_repeats(ruled, index, output)
        if self.min_length:
            is_end = ops.equal(ids, END_ID)
            others = ops.max(
                ops.where(is_end, NEVER, ruled), axis=-1, keepdims=True
            )
            early = ops.where(others > HARDLY, NEVER, HARDLY)
            too_early = ops.logical_and(is_end, index < self.min_length)
            ruled = ops.where(too_early, early, ruled)
        return ruled

    def _without_repeats(self, logits, index, output):
        """`NEVER` for what would end an n-gram that was there before."""
        size = self.no_repeat_ngram
        batch_size, max_length = ops.shape(output)
        places = ops.arange(max_length, dtype="int32")
        # Whether the n - 1 tokens from a place on are the last n - 1.
        repeats = ops.broadcast_to(
            (places + size <= index)[None], (batch_size, max_length)
        )
        for offset in range(size - 1):
            last = ops.clip(index - size + 1 + offset, 0, max_length - 1)
            last = ops.take(output, ops.reshape(last, (1,)), axis=1)
            there = _shifted(output, offset)
            repeats = ops.logical_and(repeats, ops.equal(there, last))
        # What came after them; padding, which never comes, stands for none.
        after = ops.where(repeats, _shifted(output, size - 1), PADDING_ID)
        rows = ops.broadcast_to(
            ops.arange(batch_size, dtype="int32")[:, None],
            (batch_size, max_length),
        )
        pairs = ops.reshape(ops.stack([rows, after], axis=-1), (-1, 2))
        never = ops.full((batch_size * max_length,), NEVER, dtype="float32")
        return ops.scatter_update(logits, pairs, never)


def _shifted(tokens, count):
    """Each row `count` places to the left, padded with 0."""
    return ops.pad(tokens, [[0, 0], [0, count]])[:, count:]


def filter_candidates(logits, temperature=1.0, top_k=0, top_p=1.0):
    """The tokens that a sampler may draw.

    Args:
        logits: `(batch_size, vocabulary_size)`; log-probabilities do, too.
        temperature: They are divided by it.
        top_k: Only so many of the most probable; 0 is all.
        top_p: Of those only the fewest that together have this probability.

    Returns:
        Token ids, the most probable first, `(batch_size, count)`, and their
        probabilities, 0 for those that may not be drawn, which sum to at
        most 1.
    """
    vocabulary_size = logits.shape[-1]
    count = min(top_k or vocabulary_size, vocabulary_size)
    values, candidates = ops.top_k(logits / temperature, count)
    probabilities = ops.softmax(values, axis=-1)
    if top_p == 1.0:
        return candidates, probabilities
    before = ops.cumsum(probabilities, axis=-1) - probabilities
    # The first is always one of them.
    first = ops.arange(count) == 0
    kept = ops.logical_or(before < top_p, first)
    return candidates, ops.where(kept, probabilities, 0.0)

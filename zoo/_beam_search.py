"""Beam search."""

import math

import keras
from keras import ops

from zoo._next_token import END_ID
from zoo._next_token import NEVER
from zoo._next_token import NextToken
from zoo._next_token import PADDING_ID
from zoo._next_token import shift_logits
from zoo._next_token import START_ID


def beam_search(
    step,
    state,
    batch_size,
    max_length,
    beam_width,
    length_penalty=1.0,
    limits=None,
    rules=None,
    patience=1.0,
):
    """Go on with the K most probable beginnings at each step.

    A beginning that is continued by END, and is one of the K best
    continuations, is finished. A sentence is done when it has K finished
    hypotheses (first come, first served), or K times the patience, of which
    the K best are kept; or at its limit, where all beginnings are finished as
    they are. So K = 1 is greedy search. What would have been better, but is
    finished later, is not found; patience finds more of that.

    Args:
        step, state, batch_size, max_length, limits: As in
            `zoo._decoding.decode`.
        beam_width: K, an integer.
        length_penalty: Alpha of Wu et al. (2016), equation 14.
        rules: `NextToken`, what may come next.
        patience: Factor of Kasai et al. (2022), section 3.

    Returns:
        Token ids `(batch_size, beam_width, max_length)`, END kept and padded
        with 0, best first; scores, the log-probability over the length
        penalty; and the log-probability, summed over the tokens, END
        included; both `(batch_size, beam_width)`, float32. Where there are
        fewer hypotheses, the rest have no tokens and -1e30.

    References:
        [Sutskever et al., 2014](https://arxiv.org/abs/1409.3215), section
        3.2; [Wu et al., 2016](https://arxiv.org/abs/1609.08144), section 7;
        [Kasai et al., 2022](https://arxiv.org/abs/2204.05424).
    """
    if limits is None:
        limits = ops.full((batch_size,), max_length, dtype="int32")
    search = _Search(
        step,
        batch_size,
        max_length,
        beam_width,
        length_penalty,
        limits,
        rules or NextToken(),
        # 1.1 times 10 is a little more than 11.
        enough=math.ceil(round(patience * beam_width, 6)),
    )
    return search.run(state)


class _Search:
    """One search; axes are B batch, K beam width, T steps, V vocabulary."""

    def __init__(
        self,
        step,
        batch_size,
        max_length,
        width,
        penalty,
        limits,
        rules,
        enough,
    ):
        self.step = step
        self.batch_size = batch_size
        self.max_length = max_length
        self.width = width
        self.penalty = penalty
        self.rules = rules
        self.limits = limits
        self.enough = enough
        self.positions = ops.arange(max_length, dtype="int32")

    def run(self, state):
        state = {name: self._repeat(part) for name, part in state.items()}
        memory = state.pop("memory", None)
        shape = (self.batch_size, self.width)
        nothing = ops.zeros((*shape, self.max_length), dtype="int32")
        never = ops.full(shape, NEVER, dtype="float32")
        # All beginnings are one at first, so only one counts.
        first = ops.where(ops.arange(self.width) == 0, 0.0, never)
        start = ops.full(shape, START_ID, dtype="int32")
        own = ops.zeros(shape, "int32") + ops.arange(self.width, dtype="int32")
        begun = {"last": start, "beams": own, "tokens": nothing, "sum": first}
        ended = {
            "tokens": nothing,
            "score": never,
            "sum": never,
            "count": ops.zeros((self.batch_size,), dtype="int32"),
        }

        def unfinished(index, begun, ended, done, state):
            return ops.logical_and(
                index < self.max_length, ops.logical_not(ops.all(done))
            )

        def extend(index, begun, ended, done, state):
            if memory is not None:
                state = {**state, "memory": memory}
            begun, ended, done, state = self._extend(
                index, begun, ended, done, state
            )
            if memory is not None:
                state = {**state}
                state.pop("memory")
            return index + 1, begun, ended, done, state

        _, _, ended, _, _ = ops.while_loop(
            unfinished,
            extend,
            (
                ops.convert_to_tensor(0, dtype="int32"),
                begun,
                ended,
                ops.zeros((self.batch_size,), dtype="bool"),
                state,
            ),
        )
        return ended["tokens"], ended["score"], ended["sum"]

    def _extend(self, index, begun, ended, done, state):
        """All sentences by one token."""
        # Only here, not when the beginnings were chosen: a cache that is
        # read, written and passed on at once need not be copied.
        state = self._reorder(state, begun["beams"])
        logits, state = self.step(ops.reshape(begun["last"], (-1,)), state)
        vocabulary_size = logits.shape[-1]
        logits, normalizer = shift_logits(logits)
        ruled = self.rules.apply(
            logits,
            index,
            ops.reshape(begun["tokens"], (-1, self.max_length)),
        )
        gains = ops.reshape(
            ruled - normalizer, (-1, self.width, vocabulary_size)
        )
        ranks = ops.reshape(
            begun["sum"][..., None] + gains,
            (-1, self.width * vocabulary_size),
        )
        # At most K of them are END, so K are left that go on.
        count = min(2 * self.width, self.width * vocabulary_size)
        ranks, places = ops.top_k(ranks, count)
        possible = ranks > NEVER / 2
        places = ops.cast(places, "int32")
        beams = places // vocabulary_size
        # What the model says of them, whatever the rules do.
        normalizer = ops.reshape(normalizer, (-1, self.width))
        logits = ops.reshape(logits, (-1, self.width * vocabulary_size))
        gains = ops.take_along_axis(logits, places, axis=1)
        gains = gains - ops.take_along_axis(normalizer, beams, axis=1)
        sums = ops.take_along_axis(begun["sum"], beams, axis=1) + gains
        last = places - beams * vocabulary_size
        tokens = ops.take_along_axis(begun["tokens"], beams[..., None], axis=1)
        tokens = ops.where(
            ops.equal(self.positions, index), last[..., None], tokens
        )
        is_end = ops.equal(last, END_ID)
        at_limit = ops.logical_and(
            (index + 1 >= self.limits)[:, None], ops.arange(count) < self.width
        )
        ends = ops.logical_or(
            ops.logical_and(is_end, ops.arange(count) < self.width), at_limit
        )
        ends = ops.logical_and(ends, ops.logical_not(done)[:, None])
        ends = ops.logical_and(ends, possible)
        ended = self._collect(index, ended, ends, tokens, sums)
        done = ops.logical_or(
            ops.logical_or(done, ended["count"] >= self.enough),
            index + 1 >= self.limits,
        )
        goes_on = ops.logical_and(possible, ops.logical_not(is_end))
        kept = ops.where(goes_on, sums, NEVER)
        kept, chosen = ops.top_k(kept, self.width)

        def pick(tensor):
            return ops.take_along_axis(tensor, chosen, axis=1)

        begun = {
            "last": ops.cast(pick(last), "int32"),
            "beams": pick(beams),
            "tokens": ops.take_along_axis(tokens, chosen[..., None], axis=1),
            "sum": kept,
        }
        return begun, ended, done, state

    def _collect(self, index, ended, ends, tokens, sums):
        """The K best of what had ended and what does now."""
        length = ops.cast(index + 1, "float32")
        scores = sums / ops.power((5.0 + length) / 6.0, self.penalty)
        scores = ops.where(ends, scores, NEVER)
        sums = ops.where(ends, sums, NEVER)
        tokens = ops.where(ends[..., None], tokens, PADDING_ID)
        count = ended["count"] + ops.sum(ops.cast(ends, "int32"), axis=1)
        together = {
            "tokens": ops.concatenate([ended["tokens"], tokens], axis=1),
            "sum": ops.concatenate([ended["sum"], sums], axis=1),
        }
        scores = ops.concatenate([ended["score"], scores], axis=1)
        scores, best = ops.top_k(scores, self.width)
        return {
            "tokens": ops.take_along_axis(
                together["tokens"], best[..., None], axis=1
            ),
            "score": scores,
            "sum": ops.take_along_axis(together["sum"], best, axis=1),
            "count": count,
        }

    def _repeat(self, nest):
        """Each row K times."""

        def repeat(tensor):
            if len(tensor.shape) == 0:
                return tensor
            return ops.repeat(tensor, self.width, axis=0)

        return keras.tree.map_structure(repeat, nest)

    def _reorder(self, state, beams):
        """The states of the beginnings that go on."""
        first = ops.arange(self.batch_size, dtype="int32") * self.width
        rows = ops.reshape(first[:, None] + beams, (-1,))

        def take(tensor):
            if len(tensor.shape) == 0:
                return tensor
            return ops.take(tensor, rows, axis=0)

        state = {**state}
        memory = state.pop("memory", None)
        state = keras.tree.map_structure(take, state)
        return state if memory is None else {**state, "memory": memory}

"""Decoding: from a decoder's next-token logits to whole sequences.

A decoder is two functions: `start(memory) -> state` and
`step(tokens, state) -> (logits, state)`. Everything here is plain
`keras.ops`, so it runs eagerly, in a graph, and in an exported model.

Axes: B batch, K hypotheses, T steps, V target vocabulary.
"""

import dataclasses
import numbers
from typing import Any
from typing import Literal
from typing import NamedTuple

import keras
from keras import ops

from zoo._beam_search import beam_search
from zoo._next_token import filter_candidates
from zoo._next_token import NextToken
from zoo._search import one_path

# The fields that one decoder alone looks at.
_FIELD_OF = {
    "beam_width": "beam",
    "length_penalty": "beam",
    "patience": "beam",
    "temperature": "sample",
    "top_k": "sample",
    "top_p": "sample",
    "seed": "sample",
}
_COUNTS = ("beam_width", "top_k", "seed", "min_length", "no_repeat_ngram")
_NUMBERS = ("length_penalty", "patience", "temperature", "top_p")


@dataclasses.dataclass(frozen=True)
class Decoding:
    """How a translation is searched for.

    Attributes:
        decoder: `greedy` takes the most probable token at each step; `beam`
            goes on with the most probable beginnings; `sample` draws.
        beam_width: Number of beginnings, and of hypotheses; of `beam`.
        length_penalty: Alpha of Wu et al. (2016), equation 14: a log-
            probability is divided by `((5 + length) / 6) ** alpha`. 0 is
            none; more favours longer translations; of `beam`.
        patience: The search for a sentence ends when this many times
            `beam_width` hypotheses are finished (Kasai et al., 2022); of
            `beam`.
        temperature: Logits are divided by it; of `sample`.
        top_k: Draw from the most probable tokens only (Fan et al., 2018);
            0 is all; of `sample`.
        top_p: Draw from the fewest tokens that together have this
            probability (Holtzman et al., 2020); of `sample`.
        seed: Seed of `sample`; what it draws for a sentence depends on the
            place of that in its batch and on the longest of the batch.
        min_length: Fewest tokens before END.
        no_repeat_ngram: No n tokens in a row stand in a translation twice;
            0 is any.

    Raises:
        ValueError: If a value is impossible, or is of another decoder.
    """

    decoder: Literal["greedy", "beam", "sample"] = "greedy"
    beam_width: int = 5
    length_penalty: float = 1.0
    patience: float = 1.0
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 0
    min_length: int = 0
    no_repeat_ngram: int = 0

    def __post_init__(self):
        if self.decoder not in ("greedy", "beam", "sample"):
            raise ValueError(
                "`decoder` must be one of greedy, beam, sample. "
                f"Received: decoder={self.decoder}"
            )
        self._check_type(_COUNTS, numbers.Integral, "an integer")
        self._check_type(_NUMBERS, numbers.Real, "a number")
        for name, is_right, wanted in (
            ("beam_width", self.beam_width >= 1, "at least 1"),
            # Within these bounds no score leaves the range of float32.
            (
                "length_penalty",
                0 <= self.length_penalty <= 10,
                "at least 0 and at most 10",
            ),
            (
                "patience",
                1 <= self.patience <= 1000,
                "at least 1 and at most 1,000",
            ),
            (
                "temperature",
                1e-6 <= self.temperature <= 1e6,
                "at least 1e-6 and at most 1e6",
            ),
            ("top_k", self.top_k >= 0, "at least 0"),
            ("top_p", 0 < self.top_p <= 1, "more than 0 and at most 1"),
            ("seed", 0 <= self.seed < 2**32, "at least 0 and less than 2**32"),
            (
                "min_length",
                0 <= self.min_length <= 10_000,
                "at least 0 and at most 10,000",
            ),
            ("no_repeat_ngram", self.no_repeat_ngram >= 0, "at least 0"),
        ):
            if not is_right:
                raise ValueError(
                    f"`{name}` must be {wanted}. "
                    f"Received: {name}={getattr(self, name)}"
                )
        for field in dataclasses.fields(self):
            decoder = _FIELD_OF.get(field.name, self.decoder)
            value = getattr(self, field.name)
            if decoder != self.decoder and value != field.default:
                raise ValueError(
                    f"`{field.name}` is of the decoder {decoder}. Received: "
                    f"{field.name}={value}, decoder={self.decoder}"
                )

    def _check_type(self, names, kind, wanted):
        for name in names:
            value = getattr(self, name)
            if not isinstance(value, kind) or isinstance(value, bool):
                raise ValueError(
                    f"`{name}` must be {wanted}. Received: {name}={value!r}"
                )


class Hypotheses(NamedTuple):
    """Translations of a batch, best first.

    Attributes:
        tokens: `(B, K, T)`, int32, END kept and padded with 0.
        scores: `(B, K)`, float32: what they are ordered by, the
            log-probability over the length penalty.
        log_probabilities: `(B, K)`, float32, summed over the tokens, END
            included. Where a sentence has less than K translations, the rest
            have no tokens and -1e30 in both.
    """

    tokens: Any
    scores: Any
    log_probabilities: Any


def decode(
    decoding,
    step,
    state,
    batch_size,
    max_length,
    limits=None,
    uniforms=None,
):
    """Search for the best sequences.

    Args:
        decoding: `Decoding`, how.
        step: `step(tokens, state) -> (logits, state)` with `tokens` of shape
            `(batch_size,)` and `logits` of shape
            `(batch_size, vocabulary_size)`.
        state: The state before the first step, a dictionary: `states`, a
            nest of tensors that change from step to step, and `memory`, one
            of those that do not. The first axis of each is the batch, or it
            has none.
        batch_size: B, an integer or a scalar tensor.
        max_length: Most tokens to give, END included; an integer or a
            scalar tensor. A sequence that reaches it has no END.
        limits: The same for each sequence, `(batch_size,)`, where they have
            less than `max_length`.
        uniforms: Numbers from [0, 1) that `sample` draws with, `(B, T)`; by
            default those of its seed.

    Returns:
        `Hypotheses`.
    """
    rules = NextToken(decoding.min_length, decoding.no_repeat_ngram)
    if decoding.decoder == "beam":
        found = beam_search(
            step,
            state,
            batch_size,
            max_length,
            decoding.beam_width,
            decoding.length_penalty,
            limits,
            rules,
            decoding.patience,
        )
        return Hypotheses(*found)
    if decoding.decoder == "greedy":
        tokens, score = greedy_search(
            step, state, batch_size, max_length, limits, rules
        )
    else:
        if uniforms is None:
            uniforms = keras.random.uniform(
                (batch_size, max_length), seed=decoding.seed
            )
        tokens, score = sample(
            step,
            state,
            batch_size,
            max_length,
            uniforms,
            decoding,
            limits,
            rules,
        )
    return Hypotheses(tokens[:, None], score[:, None], score[:, None])


def greedy_search(step, state, batch_size, max_length, limits=None, rules=None):
    """Take the most probable token at each step, until END.

    Args:
        step, state, batch_size, max_length, limits: As in `decode`.
        rules: `NextToken`, what may come next.

    Returns:
        Token ids `(batch_size, max_length)`, END kept and padded with 0, and
        the summed log-probability of the tokens, END included,
        `(batch_size,)`.
    """

    def choose(index, logits):
        return ops.argmax(logits, axis=-1)

    return one_path(step, state, batch_size, max_length, choose, limits, rules)


def sample(
    step,
    state,
    batch_size,
    max_length,
    uniforms,
    decoding,
    limits=None,
    rules=None,
):
    """Draw each token from its probability, until END.

    The same uniform numbers give the same sequence on every backend.

    Args:
        step, state, batch_size, max_length, limits: As in `decode`.
        uniforms: Numbers from [0, 1), `(batch_size, max_length)`.
        decoding: `Decoding`, for temperature, top-k and top-p.
        rules: `NextToken`, what may come next.

    Returns:
        As `greedy_search`.
    """

    def choose(index, logits):
        candidates, probabilities = filter_candidates(
            logits,
            decoding.temperature,
            decoding.top_k,
            decoding.top_p,
        )
        # Where the uniform number falls among the probabilities in a row.
        ends = ops.cumsum(probabilities, axis=-1)
        drawn = ops.take(uniforms, index, axis=1)[:, None] * ends[:, -1:]
        # A sum may grow by rounding alone where nothing may be drawn.
        here = ops.logical_and(ends > drawn, probabilities > 0)
        place = ops.argmax(ops.cast(here, "int32"), axis=-1)
        return ops.take_along_axis(candidates, place[:, None], axis=1)[:, 0]

    return one_path(step, state, batch_size, max_length, choose, limits, rules)

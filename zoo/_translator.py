"""What every translator of the zoo can do: search for a translation."""

from keras import ops

from layers.masks import padding_mask
from zoo._attention_model import AttentionModel
from zoo._decoding import decode
from zoo._decoding import Decoding


def longest_translation(source_length):
    """Most tokens of a translation, END included, if nobody says otherwise."""
    return 2 * source_length + 16


def _check_lengths(max_length, min_length, uniforms):
    """Of what is known when a graph is made."""
    if not isinstance(max_length, int):
        return
    # With 0 there are no tokens, and no END after `min_length` of them.
    least = min_length + 1 if min_length else 0
    if max_length < least:
        raise ValueError(
            f"`max_length` must be at least {least}, as `min_length` is "
            f"{min_length}. Received: max_length={max_length}"
        )
    columns = None if uniforms is None else uniforms.shape[1]
    if columns is not None and columns < max_length:
        raise ValueError(
            "`uniforms` must have a number for each token, "
            f"(batch_size, {max_length}). Received: shape={uniforms.shape}"
        )


class Translator(AttentionModel):
    """Base of the translators.

    A subclass writes `encode(source) -> memory`,
    `start(memory, capacity) -> state` and
    `step(tokens, state) -> (logits, state)`. The state is a dictionary:
    `states`, which change from step to step, and `memory`, which does not;
    all tensors in them have the batch first, or no axes.
    """

    task = "translation"

    def translate(self, source, max_length=None, decoding=None, uniforms=None):
        """Search for the best translation, in plain ops.

        Args:
            source, max_length, decoding, uniforms: As in `hypotheses`.

        Returns:
            Token ids `(batch_size, max_length)`, END kept and padded with 0,
            and their summed log-probability `(batch_size,)`.
        """
        found = self.hypotheses(source, max_length, decoding, uniforms)
        return found.tokens[:, 0], found.log_probabilities[:, 0]

    def hypotheses(self, source, max_length=None, decoding=None, uniforms=None):
        """Search for the best translations, in plain ops.

        Args:
            source: Token ids `(batch_size, source_length)`, padded with 0.
            max_length: Most tokens to give, END included; by default twice
                those of each sentence and 16 more, besides the `min_length`
                of the decoding.
            decoding: `Decoding`, how to search; greedy by default.
            uniforms: Numbers from [0, 1), `(batch_size, max_length)`, that
                sampling draws with; by default those of the seed.

        Returns:
            `Hypotheses`, `beam_width` of them for each sentence, best first;
            one without a beam.

        Raises:
            ValueError: If `max_length` is negative or leaves no room for END
                after `min_length`; or the `uniforms` are too few.
        """
        decoding = decoding or Decoding()
        _check_lengths(max_length, decoding.min_length, uniforms)
        if not self.built:
            self({"source": source, "target": ops.zeros_like(source[:, :1])})
        batch_size, source_length = ops.shape(source)
        limits = None
        if max_length is None:
            # Of its own for each sentence: its neighbours must not matter.
            lengths = ops.count_nonzero(padding_mask(source), axis=1)
            limits = longest_translation(ops.cast(lengths, "int32"))
            limits = limits + decoding.min_length
            max_length = longest_translation(source_length)
            max_length = max_length + decoding.min_length
        state = self.start(self.encode(source), capacity=max_length)
        return decode(
            decoding,
            self.step,
            state,
            batch_size,
            max_length,
            limits,
            uniforms,
        )

    def encode(self, source, training=None):
        """Read the source: all that the decoder needs of it."""
        raise NotImplementedError

    def start(self, memory, capacity=None):
        """The state of the decoder before the first token.

        Args:
            memory: What `encode` returned.
            capacity: Most steps; None lets the state grow, which a loop in
                a graph cannot.
        """
        raise NotImplementedError

    def step(self, tokens, state):
        """Logits `(batch_size, target_vocabulary_size)` of the next token.

        Args:
            tokens: The tokens before, `(batch_size,)`.
            state: What `start` or the previous `step` returned.

        Returns:
            The logits and the new state.
        """
        raise NotImplementedError

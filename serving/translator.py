"""A translator for programs: strings in, translations out."""

import dataclasses

import numpy as np

from serving.answers import as_texts
from serving.answers import rows_of
from serving.answers import strings_of
from serving.answers import text_of

# A place of a beam in which there is no hypothesis has -1e30.
_NONE = -5e29


@dataclasses.dataclass(frozen=True)
class Translation:
    """The answer to one sentence.

    Attributes:
        text: The translation.
        score: Summed log-probability of its tokens, END included.
        source_tokens: The tokens that were read; U+2581 is a blank.
        tokens: The tokens that were written, END included.
        attention: `(num_layers, num_heads, len(tokens),
            len(source_tokens))`, float32: row t says where the step that
            wrote `tokens[t]` looked. Of the layers and heads that were
            exported; the last layer is always there. None for a model
            without attention.
        truncated: Whether the end of the sentence was cut off.
        encoder_attention: `(num_layers, num_heads, len(source_tokens),
            len(source_tokens))`, float32: where the tokens of the source
            looked among themselves. None for a model without.
        decoder_attention: `(num_layers, num_heads, len(tokens),
            len(tokens))`: where each step looked among the tokens before it;
            column 0 is START, column j the token before `tokens[j]`.
    """

    text: str
    score: float
    source_tokens: tuple
    tokens: tuple
    attention: np.ndarray | None
    truncated: bool
    encoder_attention: np.ndarray | None = None
    decoder_attention: np.ndarray | None = None


@dataclasses.dataclass(frozen=True)
class Hypothesis:
    """One of the best translations of a sentence.

    Attributes:
        text: The translation.
        score: What the hypotheses are ordered by: the log-probability over
            the length penalty.
        log_probability: Summed over its tokens, END included.
    """

    text: str
    score: float
    log_probability: float


class Translator:
    """Translates strings.

    Args:
        signatures: The functions `serving_default`, `beam` and `explain`.
        owner: The object that holds their variables.
    """

    def __init__(self, signatures, owner):
        self._signatures = signatures
        self._owner = owner

    def translate(self, texts):
        """Translate a list of strings into a list of strings."""
        texts = as_texts(texts)
        if not len(texts):
            return []
        answer = self._signatures["serving_default"](text=texts)
        return strings_of(answer["translation"].numpy())

    def beam(self, texts):
        """The best translations of each of a list of strings, best first.

        How wide the beam is was said when the model was exported.

        Returns:
            A list of `Hypothesis` for each string; fewer than the beam is wide
            where there are no more translations.
        """
        texts = as_texts(texts)
        if not len(texts):
            return []
        answer = self._signatures["beam"](text=texts)
        return [
            [
                Hypothesis(text_of(text), float(score), float(total))
                for text, score, total in zip(
                    row["translations"], row["scores"], row["log_probabilities"]
                )
                if total > _NONE
            ]
            for row in rows_of(answer)
        ]

    def explain(self, texts):
        """Translate a list of strings; a `Translation` for each."""
        texts = as_texts(texts)
        if not len(texts):
            return []
        answer = self._signatures["explain"](text=texts)
        return [_translation(row) for row in rows_of(answer)]


def _translation(row):
    source = strings_of(row["source_tokens"], skip_empty=True)
    target = strings_of(row["target_tokens"], skip_empty=True)
    lengths = {"source": len(source), "target": len(target)}

    def attention(name, rows, columns):
        scores = row.get(name)
        if scores is None:
            return None
        return scores[:, :, : lengths[rows], : lengths[columns]]

    return Translation(
        text=text_of(row["translation"]),
        score=float(row["score"]),
        source_tokens=tuple(source),
        tokens=tuple(target),
        attention=attention("attention", "target", "source"),
        truncated=bool(row["truncated"]),
        encoder_attention=attention("encoder_attention", "source", "source"),
        decoder_attention=attention("decoder_attention", "target", "target"),
    )

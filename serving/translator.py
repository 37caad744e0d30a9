"""A translator for programs: strings in, translations out."""

import dataclasses

import numpy as np

from serving.answers import as_texts
from serving.answers import rows_of
from serving.answers import strings_of


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
            wrote `tokens[t]` looked. None for a model without attention.
        truncated: Whether the end of the sentence was cut off.
    """

    text: str
    score: float
    source_tokens: tuple
    tokens: tuple
    attention: np.ndarray | None
    truncated: bool


class Translator:
    """Translates strings.

    Args:
        signatures: The functions `serving_default` and `explain`.
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
    attention = row.get("attention")
    if attention is not None:
        attention = attention[:, :, : len(target), : len(source)]
    return Translation(
        text=row["translation"].decode(),
        score=float(row["score"]),
        source_tokens=tuple(source),
        tokens=tuple(target),
        attention=attention,
        truncated=bool(row["truncated"]),
    )

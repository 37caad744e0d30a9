"""Use a fitted model from a program: from its run or its SavedModel."""

import dataclasses
import pathlib

import numpy as np
import tensorflow as tf
import tensorflow_text  # noqa: F401  registers the ops of the graph

from serving.atomic import versions
from serving.translator_graph import TranslatorGraph
from training.run import Run


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
        texts = _as_batch(texts)
        if not len(texts):
            return []
        answer = self._signatures["serving_default"](text=texts)
        return [text.decode() for text in answer["translation"].numpy()]

    def explain(self, texts):
        """Translate a list of strings; a `Translation` for each."""
        texts = _as_batch(texts)
        if not len(texts):
            return []
        answer = {
            name: tensor.numpy()
            for name, tensor in self._signatures["explain"](text=texts).items()
        }
        return [_translation(answer, row) for row in range(len(texts))]


def _as_batch(texts):
    if isinstance(texts, str | bytes):
        raise TypeError(
            "`texts` must be a list of strings, as [text]. "
            f"Received: texts={texts!r}"
        )
    return tf.constant(list(texts), tf.string)


def _translation(answer, row):
    source = _tokens(answer["source_tokens"][row])
    target = _tokens(answer["target_tokens"][row])
    attention = answer.get("attention")
    if attention is not None:
        attention = attention[row, :, :, : len(target), : len(source)]
    return Translation(
        text=answer["translation"][row].decode(),
        score=float(answer["score"][row]),
        source_tokens=source,
        tokens=target,
        attention=attention,
        truncated=bool(answer["truncated"][row]),
    )


def _tokens(strings):
    return tuple(token.decode() for token in strings if token)


def load(path):
    """Load a fitted model.

    Args:
        path: A run, a SavedModel, or a folder of versions of one, of which
            the newest is taken.

    Returns:
        A `Translator`.

    Raises:
        ConfigurationError: If there is neither at `path`.

    Example:

    >>> path = "saved_models/bahdanau_translator_tiny_phrases"
    >>> serving.load(path).explain(["March 5, 2021"])[0].text
    """
    path = pathlib.Path(path)
    numbers = versions(path) if path.is_dir() else []
    if numbers:
        path = path / str(numbers[-1])
    if (path / "saved_model.pb").exists():
        loaded = tf.saved_model.load(str(path))
        return Translator(loaded.signatures, loaded)
    run = Run.find(path)
    graph = TranslatorGraph(run.load_model(), run.load_preprocessor())
    return Translator(graph.signatures(), graph)

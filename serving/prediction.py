"""What the command line gives a model to answer, and what it answers."""

import os
import pathlib

import numpy as np

from datasets import DataError
from serving.contract import MOST_ROWS
from serving.image_classifier import ImageClassifier
from serving.translator import Translator
from training.printable import printable
from training.tsv_file import TRANSLATION_COLUMNS
from training.tsv_file import write_tsv

_MOST_SIMILAR = 5


def sources_of(model, arguments):
    """The inputs that words of a command line stand for.

    Args:
        model: What `serving.load` gave.
        arguments: For pictures their paths, or folders of them; for texts
            the text itself, or the path of a file with one text a line.

    Returns:
        A list of paths or of texts, as the model takes them.

    Raises:
        DataError: If a file can't be read; it is named.
    """
    find = _pictures if isinstance(model, ImageClassifier) else _texts
    return [source for name in arguments for source in find(name)]


def is_encoder(model):
    """Whether a model embeds texts and does nothing else."""
    return not hasattr(model, "explain")


def answers_of(model, sources):
    """Pairs of a source and its answer, computed some at a time.

    An answer is what `explain` gives; of a `TextEncoder` it is the vector.
    """
    answer = model.embed if is_encoder(model) else model.explain
    for batch in batches_of(sources):
        yield from zip(batch, answer(batch))


def batches_of(sources):
    """A list in parts that are answered together."""
    for start in range(0, len(sources), MOST_ROWS):
        yield sources[start : start + MOST_ROWS]


def write_answers(path, model, answers):
    """Write a row for each answer, by tabs, as `train.py evaluate` does.

    A translation is `source`, `translation`, `log_probability`; a class
    `text` or `path`, `label`, `probability`; a vector `text`, `embedding`
    with blanks between its numbers.

    Args:
        path: Of the file.
        model: What `serving.load` gave.
        answers: Pairs, as `answers_of` gives them.
    """
    if is_encoder(model):
        names, row = ("text", "embedding"), _vector_row
    elif isinstance(model, Translator):
        names, row = TRANSLATION_COLUMNS, _translation_row
    else:
        kind = "path" if isinstance(model, ImageClassifier) else "text"
        names, row = (kind, "label", "probability"), _class_row
    write_tsv(path, names, (row(*pair) for pair in answers))


def similarities(texts, vectors):
    """For each text those that are most like it, as lines of text.

    Args:
        texts: List of strings.
        vectors: Their vectors, of length 1.
    """
    lines = []
    for row, text in enumerate(texts):
        cosines = [float(vectors[row] @ vector) for vector in vectors]
        others = [n for n in np.argsort(cosines)[::-1] if n != row]
        lines.append(printable(text))
        lines += [
            f"{cosines[other]:7.3f}  {printable(texts[other])}"
            for other in others[:_MOST_SIMILAR]
        ]
        if not others:
            lines.append(
                f"-> {len(vectors[row])} numbers, to compare with those of "
                "other texts"
            )
        lines.append("")
    return "\n".join(lines)


def _translation_row(source, answer):
    return source, answer.text, f"{answer.score:.6f}"


def _class_row(source, answer):
    return source, answer.label, f"{answer.probability:.6f}"


def _vector_row(source, vector):
    return source, " ".join(f"{number:.7g}" for number in vector)


def _texts(argument):
    # Path.is_file fails on a sentence too long for the name of a file.
    if not os.path.isfile(argument):
        try:
            argument.encode()
        except UnicodeEncodeError as error:
            raise DataError(
                f"A text must be UTF-8. Received: {printable(argument, 80)}"
            ) from error
        return [argument]
    try:
        text = pathlib.Path(argument).read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{argument} can't be read: {error}") from error
    # Other signs that Python counts as line ends may stand in a sentence.
    lines = text.removesuffix("\n").split("\n") if text else []
    return [line.removesuffix("\r") for line in lines]


def _pictures(argument):
    if os.path.isdir(argument):
        names = sorted(os.listdir(argument))
        paths = [os.path.join(argument, name) for name in names]
        return [path for path in paths if os.path.isfile(path)]
    if not os.path.isfile(argument):
        raise DataError(f"{argument} is no file of a picture, nor a folder.")
    return [argument]

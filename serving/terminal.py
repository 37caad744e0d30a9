"""An answer with its attention, for the terminal."""

import math
import os
import unicodedata

import numpy as np

from serving.image_classifier import ImageClassification
from serving.text_classifier import TextClassification
from training.printable import printable

_SHADES = " ░▒▓█"

_MOST_CLASSES = 5
_BAR = 30
_COLUMNS = 80  # of a line of tokens
_MOST_PATCHES = 36  # of a line of a map


def show(source, answer):
    """Text of an answer: the result, and a map of its attention.

    The darker, the more the model looked there. A translation has its tokens
    down and those of the source across. Texts and pictures that were
    classified have the most probable classes; below each token of a text its
    shade, and for a picture its patches. These are relative to the largest
    weight, and for patches to the smallest too.

    Args:
        source: The sentence, or the path or another name of the picture.
        answer: A `Translation`, `TextClassification` or
            `ImageClassification` of `serving`.

    Returns:
        Lines of text.
    """
    if isinstance(answer, TextClassification):
        lines = _text_classification(source, answer)
    elif isinstance(answer, ImageClassification):
        lines = _image_classification(source, answer)
    else:
        lines = _translation(source, answer)
    return "\n".join(lines)


def _translation(source, translation):
    lines = [
        _source(source, translation.truncated),
        f"-> {printable(translation.text)}   "
        f"(log-probability {translation.score:.2f})",
    ]
    if translation.attention is not None:
        # One layer, and the mean of its heads.
        scores = translation.attention[-1].mean(axis=0)
        lines += _map(scores, translation.tokens, translation.source_tokens)
    return lines


def _text_classification(source, answer):
    return [
        _source(source, answer.truncated),
        f"-> {printable(answer.label)}",
        *_bars(answer.probabilities),
        *_shaded_tokens(answer.tokens, answer.token_weights),
    ]


def _image_classification(source, answer):
    shown = printable(os.fspath(source))
    if not answer.valid:
        return [shown, "-> can't be read as PNG or JPEG"]
    return [
        shown,
        f"-> {printable(answer.label)}",
        *_bars(answer.probabilities),
        *_shaded_patches(answer.rollout),
    ]


def _source(text, truncated):
    note = "  (the end was cut off)" if truncated else ""
    return f"{printable(text)}{note}"


def _bars(probabilities):
    """The most probable classes, a line each."""
    ranked = sorted(probabilities.items(), key=lambda item: -item[1])
    ranked = [(printable(n, 40), p) for n, p in ranked[:_MOST_CLASSES]]
    margin = max(_width(name) for name, _ in ranked)
    return [
        f"{_pad(name, margin)} {probability:6.1%} "
        f"{'█' * round(_BAR * _finite(probability))}".rstrip()
        for name, probability in ranked
    ]


def _shaded_tokens(tokens, weights):
    """Lines of tokens, each followed by a line of their shades."""
    most = max(map(_finite, weights)) or 1.0
    shades = [_shade(weight / most) for weight in weights]
    lines, names, marks = [], "", ""
    for token, shade in zip(map(printable, tokens), shades):
        width = max(_width(token), 2)
        if names and _width(names) + width > _COLUMNS:
            lines += [names, marks]
            names, marks = "", ""
        names += f"{_pad(token, width)} "
        marks += f"{shade * width} "
    return [*lines, names, marks]


def _shaded_patches(weights):
    """A line for each row of patches; several become one where they are too
    many."""
    step = -(-max(weights.shape) // _MOST_PATCHES)
    for axis in (0, 1):
        starts = np.arange(0, weights.shape[axis], step)
        sums = np.add.reduceat(weights, starts, axis=axis)
        counts = np.diff(np.append(starts, weights.shape[axis]))
        weights = sums / np.expand_dims(counts, 1 - axis)
    least, most = weights.min(), weights.max()
    shares = (weights - least) / max(most - least, 1e-9)
    return ["".join(_shade(share) * 2 for share in row) for row in shares]


def _map(scores, rows, columns):
    rows = [printable(token) for token in rows]
    columns = [printable(token) for token in columns]
    margin = max(map(_width, rows))
    lines = []
    for row, name in zip(scores, rows):
        cells = "".join(
            _pad(_shade(weight) * 2, max(_width(column), 2) + 1)
            for weight, column in zip(row, columns)
        )
        lines.append(f"{' ' * (margin - _width(name))}{name} | {cells}")
    header = "".join(_pad(c, max(_width(c), 2) + 1) for c in columns)
    return [f"{' ' * margin}   {header}", *lines]


def _shade(weight):
    place = int(_finite(weight) * len(_SHADES))
    return _SHADES[min(max(place, 0), len(_SHADES) - 1)]


def _finite(number):
    """A number to draw; what is none is drawn as nothing."""
    return float(number) if math.isfinite(number) else 0.0


def _pad(text, width):
    return text + " " * (width - _width(text))


def _width(text):
    """Columns of the terminal that a text takes."""
    return sum(
        2 if unicodedata.east_asian_width(character) in "WF" else 1
        for character in text
        if not unicodedata.combining(character)
    )

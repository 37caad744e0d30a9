"""An answer with its attention, for the terminal."""

import unicodedata

_SHADES = " ░▒▓█"


def show(source, translation):
    """Text of an answer: the translation, and a map of its attention.

    Args:
        source: The sentence.
        translation: A `serving.Translation`.

    Returns:
        Lines of text: target tokens down, source tokens across; the darker,
        the more the step looked there.
    """
    note = "  (the end was cut off)" if translation.truncated else ""
    lines = [
        f"{printable(source)}{note}",
        f"-> {printable(translation.text)}   "
        f"(log-probability {translation.score:.2f})",
    ]
    if translation.attention is not None:
        # One layer, and the mean of its heads.
        scores = translation.attention[-1].mean(axis=0)
        lines += _map(scores, translation.tokens, translation.source_tokens)
    return "\n".join(lines)


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
    return _SHADES[min(int(weight * len(_SHADES)), len(_SHADES) - 1)]


def _pad(text, width):
    return text + " " * (width - _width(text))


def _width(text):
    """Columns of the terminal that a text takes."""
    return sum(
        2 if unicodedata.east_asian_width(character) in "WF" else 1
        for character in text
        if not unicodedata.combining(character)
    )


def printable(text, longest=200):
    """The text without what could steer a terminal, cut if it is long."""
    shown = "".join(
        character
        if unicodedata.category(character)[0] != "C"
        else "\N{REPLACEMENT CHARACTER}"
        for character in text
    )
    return shown if len(shown) <= longest else f"{shown[: longest - 1]}…"

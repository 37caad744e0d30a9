"""Text of others, made safe to show on a terminal."""

import unicodedata


def printable(text, longest=200):
    """The text without what could steer a terminal, cut if it is long."""
    shown = "".join(map(_printable_character, text))
    return shown if len(shown) <= longest else f"{shown[: longest - 1]}…"


def _printable_character(character):
    category = unicodedata.category(character)
    # Control, format (direction marks among them), surrogate and unassigned;
    # the separators of lines and paragraphs.
    if category[0] == "C" or category in ("Zl", "Zp"):
        return "\N{REPLACEMENT CHARACTER}"
    return character

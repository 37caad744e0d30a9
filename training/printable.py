"""Text of others, made safe to show on a terminal."""

import unicodedata


def printable(text, longest=200):
    """The text without what could steer a terminal, cut if it is long."""
    shown = "".join(
        character
        if unicodedata.category(character)[0] != "C"
        else "\N{REPLACEMENT CHARACTER}"
        for character in text
    )
    return shown if len(shown) <= longest else f"{shown[: longest - 1]}…"

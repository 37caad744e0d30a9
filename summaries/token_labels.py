"""Tokens as short labels that any font can show."""

import unicodedata

from matplotlib import font_manager
from matplotlib import ft2font

MAX_LABEL_LENGTH = 20

# Fonts with Chinese, Japanese and Korean, as systems have them.
_EAST_ASIAN_FONTS = (
    "Noto Sans CJK JP",
    "Noto Sans CJK SC",
    "Noto Sans JP",
    "Source Han Sans",
    "IPAexGothic",
    "WenQuanYi Zen Hei",
    "Droid Sans Fallback",
    "Hiragino Sans",
    "PingFang SC",
    "Apple SD Gothic Neo",
    "Yu Gothic",
    "Microsoft YaHei",
    "Malgun Gothic",
    "Arial Unicode MS",
)


def _installed_fonts():
    installed = {font.name for font in font_manager.fontManager.ttflist}
    # DejaVu Sans comes with matplotlib.
    return [
        "DejaVu Sans",
        *(name for name in _EAST_ASIAN_FONTS if name in installed),
    ]


def _known_characters(fonts):
    known = set()
    for font in fonts:
        path = font_manager.findfont(font)
        known.update(ft2font.FT2Font(path).get_charmap())
    return frozenset(known)


FONTS = _installed_fonts()
_KNOWN = _known_characters(FONTS)


def display_label(token):
    """A token as a label: one line, at most 20 characters.

    White space becomes `␣`, a control or direction character `�`, a
    character that no font here has `□`; a longer token ends in an ellipsis.
    """
    return "".join(map(_display_character, shorten(token)))


def display_text(text):
    """A text on one line, as any font can show it.

    As `display_label`, but white space is a space and nothing is cut.
    """
    return "".join(
        " " if character.isspace() else _display_character(character)
        for character in text
    )


def shorten(text, length=MAX_LABEL_LENGTH):
    """A text of at most `length` characters; a cut one has an ellipsis."""
    return text if len(text) <= length else text[: length - 1] + "…"


def _display_character(character):
    if character.isspace():
        return "␣"
    # Cc, Cf, Cn, Co, Cs: nothing that is meant to be seen.
    if unicodedata.category(character).startswith("C"):
        return "�"
    return character if ord(character) in _KNOWN else "□"

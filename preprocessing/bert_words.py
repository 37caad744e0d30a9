"""BERT's normalisation of text and its words, in the graph."""

import re

import tensorflow as tf
import tensorflow_text as tf_text

from preprocessing.normalization import lower_case

# Tokens that may be typed into a text, and the private characters that stand
# for them until the text is split. Private characters of the text itself
# have no meaning to BERT, which leaves them out.
NAMED_TOKENS = ("[UNK]", "[CLS]", "[SEP]", "[MASK]")
STAND_INS = tuple(chr(0xE000 + place) for place in range(len(NAMED_TOKENS)))

# BERT's list of Chinese characters, its gap before U+2B920 included.
_CHINESE = (
    r"\x{3400}-\x{4DBF}\x{4E00}-\x{9FFF}\x{F900}-\x{FAFF}\x{20000}-\x{2A6DF}"
    r"\x{2A700}-\x{2B81F}\x{2B920}-\x{2CEAF}\x{2F800}-\x{2FA1F}"
)
# All signs of ASCII count as punctuation, "$" and "^", too.
_PUNCTUATION = r"!-/:-@\[-`{-~\p{P}"
_CONTROL = "\x01"


def normalize_bert_text(text, lowercase, strip_accents):
    """Bring text into the form that BERT splits.

    Control, format and private characters, and broken UTF-8, go; runs of
    white space become one blank; blanks at the ends go.

    Args:
        text: String tensor of any shape.
        lowercase: Whether to lower the case.
        strip_accents: Whether to take characters apart (NFD) and leave out
            the marks.

    Returns:
        A string tensor of the same shape, with `STAND_INS` where the
        `NAMED_TOKENS` were.
    """
    text = tf.strings.unicode_transcode(
        text, "UTF-8", "UTF-8", errors="replace"
    )
    # Kept apart from what is around it, and left out further down.
    text = tf.strings.regex_replace(text, r"\p{Co}", _CONTROL)
    for name, stand_in in zip(NAMED_TOKENS, STAND_INS):
        text = tf.strings.regex_replace(text, re.escape(name), stand_in)
    text = tf.strings.regex_replace(text, r"[\t\n\r\p{Z}]", " ")
    text = tf.strings.regex_replace(text, r"[\p{Cc}\p{Cf}\x{FFFD}]", "")
    if strip_accents:
        text = tf_text.normalize_utf8(text, "NFD")
        text = tf.strings.regex_replace(text, r"\p{Mn}", "")
    if lowercase:
        # Each by itself; the rule for texts looks at the letters around it.
        text = lower_case(tf.strings.regex_replace(text, "Σ", "σ"))
    return tf.strings.strip(tf.strings.regex_replace(text, " +", " "))


def split_bert_words(text, split_on_cjk):
    """Split into words, signs and Chinese characters.

    Args:
        text: `(batch_size,)` strings from `normalize_bert_text`.
        split_on_cjk: Whether each Chinese character stands alone.

    Returns:
        Ragged `(batch_size, None)` strings, each with the blank before it;
        joined they are the text.
    """
    stand_ins = f"{STAND_INS[0]}-{STAND_INS[-1]}"
    alone = stand_ins + _PUNCTUATION + (_CHINESE if split_on_cjk else "")
    unit = f" ?(?:[{alone}]|[^ {alone}]+)"
    return tf_text.regex_split(text, unit, unit)


def with_names(text):
    """The text with the `NAMED_TOKENS` in place of their `STAND_INS`."""
    for name, stand_in in zip(NAMED_TOKENS, STAND_INS):
        text = tf.strings.regex_replace(text, stand_in, name)
    return text

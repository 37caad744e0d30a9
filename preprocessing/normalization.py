"""Unicode normalisation of text, in Python and in the graph alike."""

import tensorflow as tf
import tensorflow_text as tf_text

from preprocessing.special_tokens import WORD_START

# What Turkish and Lithuanian write otherwise.
_LOWER = {"I": "i", "İ": "i\u0307", "J": "j"}
_LOWER |= {"Į": "į", "Ì": "ì", "Í": "í", "Ĩ": "ĩ"}


def normalize_text(text, lowercase=False):
    """Bring text into the one form that tokenizers see.

    Broken UTF-8 becomes U+FFFD; the form is NFKC; runs of white space and
    control characters (NUL among them) become one blank; blanks at the ends
    go. The sign that marks the start of a word becomes a plain underscore.

    Args:
        text: String tensor of any shape.
        lowercase: Whether to lower the case.

    Returns:
        A string tensor of the same shape.
    """
    text = tf.strings.unicode_transcode(
        text, "UTF-8", "UTF-8", errors="replace"
    )
    text = tf_text.normalize_utf8(text, "NFKC")
    if lowercase:
        text = lower_case(text)
    text = tf.strings.regex_replace(text, r"[\s\p{Z}\p{Cc}]+", " ")
    text = tf.strings.regex_replace(text, WORD_START, "_")
    return tf.strings.strip(text)


def lower_case(text):
    """Lower-case text, the same on all machines.

    TensorFlow's op obeys the language of the machine (`LC_ALL`, `LANG`):
    in Turkish an I would lose its dot, and a model see other words than
    where it was fitted.
    """
    for upper, lower in _LOWER.items():
        text = tf.strings.regex_replace(text, upper, lower)
    return tf.strings.lower(text, encoding="utf-8")

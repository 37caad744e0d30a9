"""Unicode normalisation of text, in Python and in the graph alike."""

import tensorflow as tf
import tensorflow_text as tf_text

from preprocessing.special_tokens import WORD_START


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
        text = tf.strings.lower(text, encoding="utf-8")
    text = tf.strings.regex_replace(text, r"[\s\p{Z}\p{Cc}]+", " ")
    text = tf.strings.regex_replace(text, WORD_START, "_")
    return tf.strings.strip(text)

"""Words, tokens and the alignment between two sentences.

A gold alignment is given in characters, a model's attention in tokens, and
both are compared in words: maximal runs of letters, maximal runs of digits,
and each other sign alone. So figures do not depend on the tokenizer.
"""

import re
import unicodedata

import numpy as np

from preprocessing.special_tokens import WORD_START

# \w without digits and underscore is the letters and marks of Unicode.
_WORD = re.compile(r"\d+|[^\W\d_]+|[^\w\s]|_")


def word_spans(text):
    """The words of a text as pairs (start, end) of character positions."""
    spans = []
    for match in _WORD.finditer(text):
        start, end = match.span()
        first, stop = spans[-1] if spans else (0, -1)
        if stop == start and _joins(text, first, start):
            spans[-1] = (first, end)
        else:
            spans.append((start, end))
    return spans


def joined(words):
    """Words as a text with blanks between them, and where they are in it."""
    text, spans = "", []
    for word in words:
        if word and text:
            text += " "
        spans.append((len(text), len(text) + len(word)))
        text += word
    return text, spans


def _joins(text, first, position):
    """Whether the word that begins at `first` goes on at `position`.

    Python's \\w has no combining marks: they belong to the word before, and
    so do the letters that follow them.
    """
    if _is_mark(text[position]):
        return True
    after_mark = _is_mark(text[position - 1])
    return after_mark and text[first].isalpha() and text[position].isalpha()


def _is_mark(character):
    return unicodedata.category(character).startswith("M")


def token_spans(tokens):
    """Where each token stands in the text that the tokens make up.

    Args:
        tokens: Token strings of one sentence, U+2581 for a blank.

    Returns:
        Pairs (start, end) of character positions, blanks excluded; None for
        a token without characters.
    """
    spans, position = [], 0
    for index, token in enumerate(tokens):
        text = token.replace(WORD_START, " ")
        if index == 0:
            text = text.removeprefix(" ")
        end = position + len(text)
        start = end - len(text.lstrip(" "))
        spans.append((start, end) if start < end else None)
        position = end
    return spans


def token_words(tokens, words):
    """Matrix `(num_tokens, num_words)`: True where token and word overlap.

    Args:
        tokens: Token strings.
        words: Where the words are in the text that they make up, pairs
            (start, end).
    """
    overlap = np.zeros((len(tokens), len(words)), bool)
    for row, span in enumerate(token_spans(tokens)):
        if span is not None:
            overlap[row] = [
                max(span[0], start) < min(span[1], end) for start, end in words
            ]
    return overlap


def gold_links(alignment, source, target):
    """Project an alignment in characters on words.

    Args:
        alignment: Rows (source start, source end, target start, target end)
            in characters.
        source: The source text.
        target: The target text.

    Returns:
        Two sets of pairs (source word, target word): the sure links, of rows
        that span one word on each side, and all possible links, the sure
        ones included.
    """
    sure, possible = set(), set()
    source_words, target_words = word_spans(source), word_spans(target)
    for row in np.asarray(alignment).tolist():
        left = _overlapping(source_words, *row[:2], source)
        right = _overlapping(target_words, *row[2:], target)
        links = {(i, j) for i in left for j in right}
        possible |= links
        if len(left) == 1 and len(right) == 1:
            sure |= links
    return sure, possible


def _overlapping(words, start, end, text):
    """Words inside the span, without separators if there is more than one."""
    inside = [
        index
        for index, (left, right) in enumerate(words)
        if start < right and left < end
    ]
    real = [i for i in inside if text[words[i][0]].isalnum()]
    return real or inside


def attention_links(scores, source_overlap, target_overlap):
    """The strongest source word for each target word.

    Args:
        scores: `(target_length, source_length)`: row `t` is the attention
            of the step that emitted target token `t`.
        source_overlap: `(source_length, num_source_words)` from
            `token_words`.
        target_overlap: `(target_length, num_target_words)` likewise.

    Returns:
        A set of pairs (source word, target word), one for each target word
        that has a token and looks at a source word.
    """
    if not source_overlap.shape[1]:
        return set()
    by_word = target_overlap.T.astype(float) @ scores @ source_overlap
    return {
        (int(np.argmax(row)), index)
        for index, row in enumerate(by_word)
        if row.any()
    }


def in_lower_case(alignment, source, target):
    """An alignment in characters of both texts as one of their lower-cased
    forms, in which a character can be two (that of "İ").

    Args:
        alignment, source, target: As in `gold_links`.

    Returns:
        The same three.
    """
    rows = [
        [
            *(len(source[:position].lower()) for position in row[:2]),
            *(len(target[:position].lower()) for position in row[2:]),
        ]
        for row in np.asarray(alignment).tolist()
    ]
    return rows, source.lower(), target.lower()


def token_links(alignment, source, target, source_tokens, target_tokens):
    """Which target token belongs to which source tokens, for training.

    As `gold_links`, but in tokens; and where both sides of a row write the
    same digits, each digit belongs to its own.

    Args:
        alignment, source, target: As in `gold_links`.
        source_tokens, target_tokens: The token strings of both texts.

    Returns:
        A sorted list of pairs (target token, source token).
    """
    links = set()
    left_spans, right_spans = (
        token_spans(source_tokens),
        token_spans(target_tokens),
    )
    for row in np.asarray(alignment).tolist():
        for part in _by_digit(row, source, target):
            links |= {
                (t, s)
                for t in _tokens_inside(right_spans, *part[2:], target)
                for s in _tokens_inside(left_spans, *part[:2], source)
            }
    return sorted(links)


def _tokens_inside(spans, start, end, text):
    return [
        index
        for index, span in enumerate(spans)
        if span is not None
        and span[0] < end
        and start < span[1]
        and (text[span[0]].isalnum() or end - start == 1)
    ]


def _by_digit(row, source, target):
    left, right = (
        [i for i in range(start, end) if text[i].isalnum()]
        for start, end, text in ((*row[:2], source), (*row[2:], target))
    )
    digits = "".join(source[i] for i in left)
    if digits.isdigit() and digits == "".join(target[i] for i in right):
        return [(i, i + 1, j, j + 1) for i, j in zip(left, right)]
    return [row]

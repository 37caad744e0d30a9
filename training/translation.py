"""The translation task: what is read, and how good a translator is."""

import dataclasses

import numpy as np
import tensorflow as tf

from preprocessing import alignment
from preprocessing.batches import untuned
from preprocessing.pair_batches import TokenizedPairs

_ROWS_AT_ONCE = 4096


@dataclasses.dataclass(frozen=True)
class Pairs:
    """The sentence pairs of a split, in memory.

    Attributes:
        sources: Source sentences.
        targets: Target sentences.
        alignments: For each pair the rows (source start, source end, target
            start, target end) in characters; None where nothing is known.
        novel: For each pair whether it holds a value that the training data
            do not; None where nothing is known.
    """

    sources: list
    targets: list
    alignments: list | None = None
    novel: np.ndarray | None = None

    def __len__(self):
        return len(self.sources)

    def select(self, rows):
        """The pairs of these rows, in this order."""

        def pick(column):
            return None if column is None else [column[row] for row in rows]

        return Pairs(
            pick(self.sources),
            pick(self.targets),
            pick(self.alignments),
            None if self.novel is None else self.novel[rows],
        )


def read_pairs(dataset):
    """Read a `tf.data.Dataset` of translation examples into memory."""
    sources, targets, alignments, novel = [], [], [], []
    for examples in untuned(dataset.ragged_batch(_ROWS_AT_ONCE)):
        sources += [text.decode() for text in examples["source"].numpy()]
        targets += [text.decode() for text in examples["target"].numpy()]
        if "alignment" in examples:
            alignments += examples["alignment"].to_list()
        if "novel" in examples:
            novel.append(examples["novel"].numpy())
    return Pairs(
        sources,
        targets,
        alignments or None,
        np.concatenate(novel) if novel else None,
    )


def tokenize_pairs(preprocessor, pairs, with_links=False):
    """Sentence pairs to token ids, longer ones cut at the limit.

    Args:
        preprocessor: A `TranslationPreprocessor`.
        pairs: `Pairs`.
        with_links: Whether to project the gold alignments on the tokens.

    Returns:
        `TokenizedPairs`, and the lengths `(num_pairs, 2)` that source and
        target had before they were cut, END included, as
        `SequenceLimit.lengths` counts them.
    """
    limit = preprocessor.max_sequence_length
    source, target, lengths, links = [], [], [], []
    for start in range(0, len(pairs), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        texts = [tf.constant(pairs.sources[rows], tf.string)]
        texts += [tf.constant(pairs.targets[rows], tf.string)]
        encoded = [
            preprocessor.encode_source(texts[0], cut=False),
            preprocessor.encode_target(texts[1]),
        ]
        lengths.append(
            tf.stack(list(map(preprocessor.lengths, texts, encoded)), axis=1)
        )
        source.append(preprocessor.cut(encoded[0]))
        target.append(preprocessor.cut(encoded[1]))
        if with_links:
            links += _links(preprocessor, pairs, rows, texts, limit)
    tokenized = TokenizedPairs(
        tf.concat(source, axis=0),
        tf.concat(target, axis=0),
        tf.ragged.constant(links, tf.int32, ragged_rank=1, inner_shape=(2,))
        if with_links
        else None,
    )
    return tokenized, np.concatenate(lengths)


def _links(preprocessor, pairs, rows, texts, limit):
    left, right = (
        tokenizer.pieces(preprocessor.beginning(text)).to_list()
        for tokenizer, text in zip(
            (preprocessor.source_tokenizer, preprocessor.target_tokenizer),
            texts,
        )
    )
    aligned = zip(
        pairs.alignments[rows], pairs.sources[rows], pairs.targets[rows]
    )
    if preprocessor.source_tokenizer.lowercase:
        aligned = (alignment.in_lower_case(*each) for each in aligned)
    return [
        alignment.token_links(
            *each,
            [token.decode() for token in source_tokens[: limit - 1]],
            [token.decode() for token in target_tokens[: limit - 1]],
        )
        for each, source_tokens, target_tokens in zip(aligned, left, right)
    ]


def training_rows(pairs, lengths, limit):
    """Which pairs can be trained on, and why the others can't.

    Args:
        pairs: `Pairs`.
        lengths: `(num_pairs, 2)` from `tokenize_pairs`.
        limit: Most tokens of a sentence.

    Returns:
        The rows to keep, and how many were dropped for each reason.
    """
    too_long = (lengths > limit).any(axis=1)
    empty = (lengths <= 1).any(axis=1)
    dropped = {
        "empty side": int(empty.sum()),
        f"longer than {limit} tokens": int((too_long & ~empty).sum()),
    }
    return np.flatnonzero(~too_long & ~empty), dropped


def describe(name, tokenized, lengths, dropped=None):
    """One line on what was read of a split.

    Args:
        name: Name of the split.
        tokenized: `TokenizedPairs`, those that are used.
        lengths: `(num_pairs, 2)`: the lengths of all pairs, in tokens.
        dropped: How many pairs were left out for each reason.
    """
    sides = []
    for side, ids, column in zip(
        ("source", "target"), (tokenized.source, tokenized.target), lengths.T
    ):
        unknown = np.mean(ids.flat_values.numpy() == 1) if len(tokenized) else 0
        sides.append(
            f"{side} {column.mean():.1f} tokens (longest {column.max()}, "
            f"unknown {unknown:.2%})"
        )
    reasons = [f"{n:,} {why}" for why, n in (dropped or {}).items() if n]
    return (
        f"{name:<10} {len(tokenized):>7,} pairs, {', '.join(sides)}; dropped: "
        f"{', '.join(reasons) or 'none'}"
    )

"""Pairs of sentences: their files, their splits and their tf.data."""

import random
import unicodedata

import tensorflow as tf

from datasets._errors import DataError


def fold(text):
    """Returns `text` after NFKC, with each run of blanks as one space.

    Two sources that are equal after this are one source to every model, so
    splits are kept apart by it.
    """
    return " ".join(unicodedata.normalize("NFKC", text).split())


def decode_lines(lines, path, encoding="utf-8", advice=""):
    """Yields each of `lines` (bytes) as text without its line end.

    Only LF and CR LF end a line: the other separators of Unicode occur
    inside sentences, and splitting there would shift a parallel file.

    Args:
        lines: Iterable of bytes.
        path: The file, for messages.
        encoding: Name of the encoding, in which LF is one byte.
        advice: What to do about a line that is not of this encoding.

    Raises:
        DataError: A line is not; names the file, the line and the encoding.
    """
    for number, line in enumerate(lines, start=1):
        try:
            text = line.decode(encoding)
        except UnicodeDecodeError as error:
            raise DataError(
                f"{path}, line {number}: not valid {encoding.upper()} (byte "
                f"{error.start + 1} of the line, {error.reason}){advice}. "
                f"Received: {line[error.start : error.start + 8]!r}"
            ) from error
        yield text.removesuffix("\n").removesuffix("\r")


def pairs_dataset(pairs):
    """Returns `[(source, target), ...]` as a `tf.data.Dataset`.

    Each element is `{"source": (), "target": ()}`, both strings. The order
    is that of `pairs`.
    """
    sources = tf.constant([pair[0] for pair in pairs], tf.string)
    targets = tf.constant([pair[1] for pair in pairs], tf.string)
    return tf.data.Dataset.from_tensor_slices(
        {"source": sources, "target": targets}
    )


def split_by_source(pairs, num_validation, num_test, seed):
    """Shuffles `pairs` and splits them by source sentence.

    Args:
        pairs: List of `(source, target)`.
        num_validation: Number of source sentences held out for validation.
        num_test: Number of source sentences held out for the test.
        seed: Seed of the shuffle.

    Returns:
        Dictionary of three lists, `"train"`, `"validation"` and `"test"`. All
        pairs of one source (after `fold`) are in the same list.

    Raises:
        DataError: There are too few source sentences.
    """
    shuffled = list(pairs)
    generator = random.Random(seed)
    generator.shuffle(shuffled)
    keys = [fold(source) for source, _ in shuffled]
    # A dictionary keeps its order and a set does not.
    sources = list(dict.fromkeys(keys))
    held_out = num_validation + num_test
    if len(sources) <= held_out:
        raise DataError(
            f"Too few source sentences to hold out {num_validation} for "
            f"validation and {num_test} for the test and to train on the "
            f"rest. Received: {len(sources)} different source sentences"
        )
    validation = set(sources[:num_validation])
    test = set(sources[num_validation:held_out])
    splits = {"train": [], "validation": [], "test": []}
    for key, pair in zip(keys, shuffled, strict=True):
        name = "validation" if key in validation else "train"
        splits["test" if key in test else name].append(pair)
    return splits

"""Examples with classes: how they are split, and their tf.data."""

import collections

import numpy as np
import tensorflow as tf

from datasets._splits import check_fractions
from datasets._splits import place_of
from datasets._splits import split_by_place

# A class with fewer different examples cannot be in all three splits.
_FEWEST_TO_SPLIT = 3


def split_by_class(labels, keys, fractions, seed):
    """Splits examples so that each class has its share in each split.

    The split of an example depends on its key and the seed, not on the order
    or the number of the others, see `split_by_place`.

    Args:
        labels: Sequence of the label of each example.
        keys: Sequence of a string or bytes for each example. Examples with
            the same key (the same text, the same picture) are in the same
            split, so that none is trained on and tested with. Those with one
            key and several labels contradict each other and are not held
            out.
        fractions: Dictionary from `"validation"` and `"test"`, or one of
            them, to about the share of it, of the different examples of each
            class, at least one. What is not in it, is not held out.
        seed: Seed of the split.

    Returns:
        Dictionary from `"train"` and the names in `fractions` to a list of
        numbers of examples, in an order of chance; and the list of those
        labels whose examples are too few (fewer than 3) to hold any out, so
        that all are in `"train"`.

    Raises:
        ValueError: A fraction is not between 0 and 1, or nothing is left.
    """
    check_fractions(fractions)
    groups = collections.defaultdict(list)
    for number, key in enumerate(keys):
        groups[key].append(number)
    splits = {"train": [], **{name: [] for name in fractions}}
    of_label = collections.defaultdict(list)
    for key, members in groups.items():
        if len({labels[number] for number in members}) > 1:
            splits["train"].append(key)
        else:
            of_label[labels[members[0]]].append(key)
    too_few = []
    for label, own in sorted(of_label.items()):
        if fractions and len(own) < _FEWEST_TO_SPLIT:
            too_few.append(label)
            splits["train"] += own
            continue
        for name, chosen in split_by_place(own, fractions, seed).items():
            splits[name] += chosen
    return {
        name: [
            number
            for key in sorted(chosen, key=lambda key: place_of(key, seed))
            for number in groups[key]
        ]
        for name, chosen in splits.items()
    }, too_few


def note_on_too_few(names):
    """Returns the notes on classes of which nothing could be held out."""
    if not names:
        return ()
    return (
        f"Too few examples to hold any out of (fewer than {_FEWEST_TO_SPLIT}), "
        f"so all are for training: {', '.join(map(repr, names))}.",
    )


def texts_dataset(texts, labels):
    """Returns texts and their labels as a `tf.data.Dataset`.

    Each element is `{"text": (), "label": ()}`, a string and an int32.
    """
    return tf.data.Dataset.from_tensor_slices(
        {
            "text": tf.constant(texts, tf.string),
            "label": tf.constant(labels, tf.int32),
        }
    )


def pixels_dataset(images, labels):
    """Returns pixels and their labels as a `tf.data.Dataset`.

    Args:
        images: uint8 `(num_images, height, width, channels)`.
        labels: `(num_images,)` integers.

    Returns:
        Elements `{"image": (height, width, channels), "label": ()}`, uint8
        and int32.
    """
    return tf.data.Dataset.from_tensor_slices(
        {"image": images, "label": np.asarray(labels, "int32")}
    )


def in_natural_order(names):
    """Returns different names, sorted: numbers by value, else by spelling."""
    names = set(names)
    if all(name.isdecimal() and name.isascii() for name in names):
        return sorted(names, key=lambda name: (int(name), name))
    return sorted(names)

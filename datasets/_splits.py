"""Splits of a user's own examples, by what they are and not by where."""

import hashlib

from datasets._errors import DataError

_HASH_BYTES = 8


def check_fractions(fractions):
    """Sees that shares can be held out.

    Args:
        fractions: Dictionary from the name of a split to its share.

    Raises:
        ValueError: One is not between 0 and 1, or nothing is left.
    """
    for name, fraction in fractions.items():
        if not 0 < fraction < 1:
            raise ValueError(
                "A fraction is between 0 and 1. "
                f"Received: {name}_fraction={fraction}"
            )
    received = ", ".join(f"{k}_fraction={v}" for k, v in fractions.items())
    if sum(fractions.values()) >= 1:
        raise ValueError(
            "Of all that is held out the share must be below 1, so that "
            f"something is left to train on. Received: {received}"
        )


def place_of(key, seed):
    """Returns where an example stands, evenly spread from 0 to 1.

    It depends on the key, a string or bytes, and on the seed alone, and is
    the same on every machine.
    """
    content = key.encode() if isinstance(key, str) else key
    digest = hashlib.blake2b(
        content, digest_size=_HASH_BYTES, key=str(seed).encode()
    ).digest()
    return int.from_bytes(digest, "big") / 256**_HASH_BYTES


def split_by_place(keys, fractions, seed):
    """Splits examples by their place, see `place_of`.

    The first share of the places is for the first name in `fractions`, the
    next for the second, and the rest for training. So an example stays where
    it is whatever is added to the others, and shares are met up to chance.

    Only where a split would be empty, the bounds move, just so far that each
    has one example. Then an addition may move examples, but to a later split
    only, of which training is the last; except where training itself would
    have been empty.

    Args:
        keys: Iterable of different strings or bytes, one for each example.
        fractions: Dictionary from the name of a split to its share.
        seed: Seed of the places.

    Returns:
        Dictionary from the names in `fractions` and `"train"` to a list of
        keys, in the order of their places.

    Raises:
        DataError: There are fewer keys than splits.
    """
    places = sorted((place_of(key, seed), key) for key in keys)
    if len(places) <= len(fractions):
        raise DataError(
            "Too few different examples to hold out at least one for "
            f"{' and '.join(fractions)} and to train on the rest. "
            f"Received: {len(places)} different examples"
        )
    splits, start, bound = {}, 0, 0.0
    for number, (name, fraction) in enumerate(fractions.items(), start=1):
        bound += fraction
        stop = sum(place < bound for place, _ in places)
        # One at least, and one is left for each split that follows.
        most = len(places) - (len(fractions) - number) - 1
        stop = min(max(stop, start + 1), most)
        splits[name] = [key for _, key in places[start:stop]]
        start = stop
    return {"train": [key for _, key in places[start:]], **splits}

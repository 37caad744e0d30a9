"""Do two implementations compute the same?"""

import numpy as np

# Largest differences allowed: of losses, and of gradients relative to the
# largest entry of the same gradient.
EXACT = 1e-4
ROUNDED = 0.1
# Two words that are almost equally likely may change places by rounding, and
# then the rest of that sentence differs.
SAME_TOKENS = 0.98
# Largest differences allowed: of logits, in bfloat16 relative to the largest,
# and of losses.
LOGITS = {"float32": 1e-4, "bfloat16": 0.1}
LOSSES = {"float32": 1e-3, "bfloat16": 0.2}
# The same of a search. With a beam, hypotheses whose places are changed are
# sooner there, and all of a sentence is another then.
SAME_FOUND = {"greedy": 0.99, "beam": 0.95}
FIRST_STEP = 1e-3


def compare(name, ours, theirs, exact=True):
    """Compare losses, gradients and greedy translations.

    Args:
        name: Whose `theirs` is.
        ours, theirs: Tuples of the loss, the path of the gradients and the
            path of the translation, as `numpy.savez` wrote them.
        exact: Whether both compute in float32.

    Raises:
        RuntimeError: If they differ.
    """
    tolerance = EXACT if exact else ROUNDED
    if not abs(ours[0] - theirs[0]) <= tolerance:
        raise RuntimeError(
            f"The loss of {name} must be ours, {ours[0]}. "
            f"Received: loss={theirs[0]}"
        )
    own, other = np.load(ours[1]), np.load(theirs[1])
    if set(own.files) != set(other.files):
        raise RuntimeError(f"{name} must have the weights that we have.")
    for weight in own.files:
        difference = np.abs(own[weight] - other[weight]).max()
        largest = np.abs(own[weight]).max()
        if not difference <= tolerance * largest:
            raise RuntimeError(
                f"The gradient of {weight} of {name} must be ours, up to "
                f"{tolerance * largest}. Received: difference={difference}"
            )
    same = np.mean(np.load(ours[2])["tokens"] == np.load(theirs[2])["tokens"])
    if exact and not same >= SAME_TOKENS:
        raise RuntimeError(
            f"Translations of {name} must be ours. Received: same={same}"
        )


def compare_outputs(name, ours, theirs, precision):
    """Compare logits, and the losses of the first training steps.

    Args:
        name: Whose `theirs` is.
        ours, theirs: Tuples of the logits and the losses, arrays.
        precision: `"float32"` or `"bfloat16"`.

    Raises:
        RuntimeError: If they differ.
    """
    scale = 1.0 if precision == "float32" else np.abs(ours[0]).max()
    for what, own, other, tolerance in (
        ("logits", ours[0], theirs[0], scale * LOGITS[precision]),
        ("losses", ours[1], theirs[1], LOSSES[precision]),
    ):
        difference = np.abs(own - other).max()
        if not difference <= tolerance:
            raise RuntimeError(
                f"In {precision} the {what} of {name} must be ours, up to "
                f"{tolerance:.2g}. Received: difference={difference:.2g}"
            )


def compare_searches(name, ours, theirs):
    """Compare the first step, what searches find, and the first losses.

    Args:
        name: Whose `theirs` is.
        ours, theirs: Dictionaries of arrays: `first`, log-probabilities of
            the first tokens; `losses` of the first training steps; and of
            each search the tokens, `(batch_size, length)`. Theirs may have
            less.

    Returns:
        `{search: share of equal tokens}`.

    Raises:
        RuntimeError: If they differ.
    """
    for what, tolerance in (
        ("first", FIRST_STEP),
        ("losses", LOSSES["float32"]),
    ):
        if what in theirs:
            difference = np.abs(ours[what] - theirs[what]).max()
            if not difference <= tolerance:
                raise RuntimeError(
                    f"In `{what}` {name} must be as ours, up to {tolerance}. "
                    f"Received: difference={difference:.2g}"
                )
    found = {}
    for search, least in SAME_FOUND.items():
        if search not in theirs:
            continue
        own, other = ours[search], theirs[search]
        if own.shape != other.shape:
            raise RuntimeError(
                f"With {search} {name} must write as many tokens as ours, "
                f"{own.shape}. Received: {other.shape}"
            )
        found[search] = float(np.mean(own == other))
        if not found[search] >= least:
            raise RuntimeError(
                f"With {search} the tokens of {name} must be ours, up to "
                f"ties. Received: same={found[search]}"
            )
    return found

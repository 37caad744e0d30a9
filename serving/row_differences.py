"""How far the rows of answers are from what was expected of them."""

import dataclasses

import numpy as np

TEXTS = "texts"
PROBABILITIES = "probabilities"
LOG_PROBABILITIES = "log-probabilities"
ATTENTION = "attention"

# The largest difference of each kind of output: of log-probabilities relative
# to what was expected, of other floats absolute. `TEXTS` are all that must be
# the same: tokens, labels, pixels and what is true or false.
TOLERANCES = {
    TEXTS: 0,
    PROBABILITIES: 1e-5,
    LOG_PROBABILITIES: 1e-4,
    ATTENTION: 1e-5,
}
# A log-probability that is nearer to 0 counts as this: it is computed from
# logits of about 10, which float32 holds to 1e-6.
_LEAST_LOG_PROBABILITY = 0.01
_LOG_PROBABILITIES = ("score", "scores", "log_probabilities")
_LONGEST = 200  # characters of a value in a message


@dataclasses.dataclass
class Differences:
    """The differences of many rows.

    Attributes:
        num_rows: Rows that were compared.
        num_different: Rows in which something is beyond `TOLERANCES`.
        largest: `{kind: largest difference}` of the kinds that there were;
            of `TEXTS` 0 or 1.
        first: What is beyond in the first of these rows, or "".
    """

    num_rows: int = 0
    num_different: int = 0
    largest: dict = dataclasses.field(default_factory=dict)
    first: str = ""

    def add(self, title, expected, received):
        """Compare one row.

        Args:
            title: What the row is called in `first`.
            expected, received: `{output: array}` with a batch of 1. What was
                received may be longer on other axes, by padding.
        """
        self.num_rows += 1
        names = expected.keys() & received.keys()
        told = [f"{x}: missing" for x in sorted(expected.keys() - names)]
        told += [f"{x}: not expected" for x in sorted(received.keys() - names)]
        for name in sorted(names):
            kind = _kind(name, expected[name])
            size = _difference(kind, expected[name], received[name])
            self.largest[kind] = max(size, self.largest.get(kind, 0))
            if size > TOLERANCES[kind]:
                told.append(f"{name}: {_told(expected[name], received[name])}")
        if told:
            self.num_different += 1
            self.first = self.first or f"{title}: {'; '.join(told)}"

    def add_batch(self, titles, expected, received):
        """Compare the rows of a batch.

        Args:
            titles: What the rows are called in `first`.
            expected: `{output: array}` for each row, with a batch of 1.
            received: `{output: array}` of the batch.
        """
        rows = [{} for _ in titles]
        for name, array in received.items():
            if np.ndim(array) and len(array) == len(rows):
                for place, row in enumerate(rows):
                    row[name] = array[place : place + 1]
            else:
                self.first = self.first or (
                    f"{titles[0]}: {name}: expected a batch of {len(rows)}, "
                    f"received the shape {np.shape(array)}"
                )
        for each in zip(titles, expected, rows):
            self.add(*each)


def _kind(name, array):
    if not np.issubdtype(array.dtype, np.floating):
        return TEXTS
    if name in _LOG_PROBABILITIES:
        return LOG_PROBABILITIES
    return PROBABILITIES if name == PROBABILITIES else ATTENTION


def _difference(kind, expected, received):
    """The largest difference; infinite, or 1 of `TEXTS`, if what is more than
    expected is no padding."""
    beyond = 1 if kind == TEXTS else np.inf
    if expected.ndim != received.ndim or np.any(
        np.less(received.shape, expected.shape)
    ):
        return beyond
    own = _beginning(expected, received)
    if np.count_nonzero(own) != np.count_nonzero(received):
        return beyond
    if kind == TEXTS:
        return int(not np.array_equal(own, expected))
    sizes = _sizes(expected, own)
    if kind == LOG_PROBABILITIES:
        finite = np.isfinite(sizes)
        least = np.maximum(np.abs(expected), _LEAST_LOG_PROBABILITY)
        sizes[finite] /= least[finite]
    return float(sizes.max(initial=0.0))


def _sizes(expected, received):
    """Differences of floats; infinite where one of the two is no number."""
    with np.errstate(invalid="ignore"):
        sizes = np.abs(received.astype(np.float64) - expected)
    sizes[np.isnan(sizes)] = np.inf
    sizes[received == expected] = 0.0
    return sizes


def _beginning(expected, received):
    return received[tuple(slice(size) for size in expected.shape)]


def _told(expected, received):
    """What was expected and received: where the two differ most, or shapes."""
    own = received
    if expected.ndim == received.ndim:
        own = _beginning(expected, received)
    if expected.shape != own.shape or np.count_nonzero(own) != np.count_nonzero(
        received
    ):
        return f"expected {_shown(expected)}, received {_shown(received)}"
    if np.issubdtype(own.dtype, np.floating):
        place = np.argmax(_sizes(expected, own))
    else:
        place = np.argmax(own != expected)
    where = np.unravel_index(place, own.shape)[1:]
    at = f"at {[int(index) for index in where]} " if where else ""
    return (
        f"{at}expected {_value(expected.ravel()[place])}, "
        f"received {_value(own.ravel()[place])}"
    )


def _shown(array):
    if not len(array):
        return "no row"
    return f"{array.shape[1:]} {_value(array[0].tolist())}"


def _value(value):
    text = (
        value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    )
    shown = repr(text) if isinstance(text, str | list) else str(text)
    return shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST - 1]}…"

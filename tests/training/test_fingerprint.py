import numpy as np
import pytest

from training.fingerprint import fingerprint

BASE = (["one", "two"], np.arange(6, dtype="uint8").reshape(2, 3))


def test_the_same_on_every_machine():
    assert fingerprint(BASE) == fingerprint(BASE)
    assert fingerprint([["a"]]) == fingerprint([(b"a",)])
    objects = np.array([b"one\0", b"two"], object)
    assert fingerprint([objects]) == fingerprint([["one\0", "two"]])
    # Runs keep it.
    assert fingerprint(BASE) == "8b713570d92e6fd18062950f593c55a9"


@pytest.mark.parametrize(
    "columns",
    [
        (["two", "one"], BASE[1]),
        (["on", "etwo"], BASE[1]),
        (["one", "two", ""], BASE[1]),
        (BASE[0], BASE[1] + 1),
        (BASE[0], BASE[1].reshape(3, 2)),
        (BASE[0], BASE[1].astype("uint16")),
        (BASE[0],),
    ],
)
def test_any_change_shows(columns):
    assert fingerprint(columns) != fingerprint(BASE)

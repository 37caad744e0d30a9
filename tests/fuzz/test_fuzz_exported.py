"""Any strings through each exported text model: every row has its answer."""

import pathlib

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_text  # noqa: F401  registers the ops of the graph
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from tests.fuzz.hostile import share
from tests.fuzz.hostile import texts

MODELS = pathlib.Path(__file__).parents[2] / "saved_models"
TEXT_MODELS = [
    "bahdanau_translator_tiny_phrases/1",
    "bahdanau_translator_tiny_phrases/2",
    "transformer_translator_tiny_phrases/1",
    "transformer_classifier_tiny_language_id/1",
]
NEIGHBOURS = [b"March 5, 2021", b"20 percent"]


@pytest.mark.parametrize("name", TEXT_MODELS)
def test_exported(tries, name):
    model = tf.saved_model.load(str(MODELS / name))
    explain = model.signatures["explain"]
    alone = explain(text=tf.constant(NEIGHBOURS))
    explain(text=tf.constant(NEIGHBOURS[:1]))
    explain(text=tf.constant(NEIGHBOURS * 30))  # what is done once is done

    # 10,000 strings and more in the long form. A call answers 65 of them.
    @settings(share(0.09), deadline=None)
    @given(st.lists(texts, min_size=40, max_size=90))
    def check(rows):
        answer = tries(
            lambda: explain(text=tf.constant([*rows, *NEIGHBOURS])),
            count=len(rows),
        )
        assert_sound(answer)
        for number in range(len(NEIGHBOURS)):
            assert_same(alone, number, answer, len(rows) + number)
        if len(rows) % 5 == 0:
            one = tries(lambda: explain(text=tf.constant(rows[:1])))
            assert_same(one, 0, answer, 0)

    check()


LONG = {
    "blanks": b" " * 1_000_000 + b"March 5, 2021",
    "a letter is cut": b" " * 65_535 + "é".encode() * 500_000,
    "ideographs": "漢".encode() * 300_000,
    "digits": b"1234567890" * 100_000,
}


# The first is older, and reads all of it.
@pytest.mark.parametrize("name", TEXT_MODELS[1:])
def test_a_megabyte(tries, name):
    """The answer is that of the beginning; subwords of all once took 24
    seconds."""
    model = tf.saved_model.load(str(MODELS / name))
    explain = model.signatures["explain"]
    rows = list(LONG.values())
    answer = tries(
        lambda: explain(text=tf.constant([*rows, *NEIGHBOURS])),
        count=len(rows),
    )
    assert_sound(answer)
    assert answer["truncated"].numpy().tolist() == [True] * 4 + [False] * 2
    beginnings = [row[:65_536].decode("utf-8", errors="ignore") for row in rows]
    beginnings = explain(text=tf.constant(beginnings))
    assert not beginnings["truncated"][:2].numpy().any()
    for row in range(len(rows)):
        assert_same(beginnings, row, answer, row, leave_out="truncated")


def assert_sound(answer):
    """Texts are UTF-8, numbers finite, weights shares."""
    for name, values in answer.items():
        values = values.numpy()
        if values.dtype == object:
            for text in values.ravel().tolist():
                text.decode("utf-8")
        elif values.dtype.kind == "f":
            assert np.isfinite(values).all(), name
    sums = answer["attention"].numpy().sum(axis=-1)
    assert (np.isclose(sums, 1, atol=1e-4) | np.isclose(sums, 0)).all()


def assert_same(one, row, other, other_row, leave_out=None):
    """A row has the same answer whatever stands beside it."""
    for name in ("translation", "label", "truncated"):
        if name in one and name != leave_out:
            assert one[name][row] == other[name][other_row]
    for name in ("score", "probabilities"):
        if name in one:
            np.testing.assert_allclose(
                one[name][row], other[name][other_row], rtol=1e-3, atol=1e-4
            )

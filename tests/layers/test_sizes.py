"""Inputs and masks whose ranks and sizes do not fit."""

import keras
import numpy as np
import pytest


@pytest.mark.check("bad input")
@pytest.mark.parametrize(
    "place, name", [(0, "query"), (1, "value"), (2, "key")]
)
@pytest.mark.parametrize("axes", [2, 4])
def test_wrong_rank(case, place, name, axes):
    inputs = list(case.inputs())
    array = inputs[place]
    inputs[place] = array[0] if axes == 2 else array[None]
    with pytest.raises(ValueError, match=rf"`{name}` must have 3 axes"):
        case.make()(*inputs)


@pytest.mark.check("bad input")
@pytest.mark.parametrize(
    "place, cut, message",
    [
        (0, np.s_[:1], "`query` and `value` must have the same batch_size"),
        (2, np.s_[:1], "`key` and `value` must have the same batch_size"),
        (2, np.s_[:, :4], "`key` and `value` must have the same length"),
    ],
)
def test_sizes_that_do_not_fit(case, place, cut, message):
    inputs = list(case.inputs())
    inputs[place] = inputs[place][cut]
    with pytest.raises(ValueError, match=rf"{message}.*Received:.*shape="):
        case.make()(*inputs)


@pytest.mark.check("bad input")
@pytest.mark.parametrize(
    "name, shape",
    [
        ("query_mask", (2, 5)),
        ("query_mask", (3, 3)),
        ("value_mask", (2, 3)),
        ("key_mask", (1, 5)),
        ("attention_mask", (5, 3)),
        ("attention_mask", (3, 3, 5)),
        ("attention_mask", (2, 9, 3, 5)),
    ],
)
def test_masks_that_do_not_fit(case, name, shape):
    message = rf"{name}` does not fit.*Received: shape=.*{shape[-1]}\)"
    if name == "value_mask":
        message = rf"{name} or key_mask` does not fit"
    with pytest.raises(ValueError, match=message):
        case.make()(*case.inputs(), **{name: np.ones(shape, bool)})


@pytest.mark.check("bad input")
@pytest.mark.parametrize("name", ["query_mask", "value_mask", "key_mask"])
def test_masks_of_another_rank(case, name):
    mask = np.ones((2, 1, 1, 5), bool)
    with pytest.raises(ValueError, match=rf"`{name}` must have 2 axes"):
        case.make()(*case.inputs(), **{name: mask})


@pytest.mark.check("compiled")
def test_unknown_sizes_are_not_refused(case):
    symbols = case.symbols(None, None)
    mask = keras.Input((5,), dtype="bool")
    assert case.make()(*symbols, value_mask=mask).shape[:2] == (None, None)

import numpy as np
import pytest

from summaries import classifier_rollout
from summaries import PatchSide
from summaries import Side
from summaries.rollout import encoder_layers

# One head, two tokens. With half of each state itself the first layer is
# [[1, 0], [.25, .75]] and the second is .5 everywhere, so that both states
# end up with [.625, .375].
FIRST = np.array([[1, 0], [0.5, 0.5]], "float32")[None, None]
SECOND = np.array([[0, 1], [1, 0]], "float32")[None, None]

TEXT = Side([["a", "b"]])


def rollout(scores, side=TEXT, **options):
    values = classifier_rollout(scores, side, **options)
    assert values.shape == (1, 2)
    return values[0].tolist()


def test_mean_of_the_real_tokens():
    one = {"encoder/0/self": FIRST}
    assert rollout(one) == [0.625, 0.375]
    assert rollout(one, Side([["a"]])) == [1, 0]
    assert rollout(one, Side([["a", ""]], np.array([[False, True]]))) == [
        0.25,
        0.75,
    ]
    assert rollout(one, Side([[]])) == [0, 0]


def test_class_token():
    one = {"encoder/0/self": FIRST}
    assert rollout(one, class_token=True) == [1, 0]
    image = np.zeros((1, 8, 8))
    assert rollout(one, PatchSide(image, (1, 1), 1)) == [1, 0]
    assert rollout(one, PatchSide(image, (1, 2))) == [0.625, 0.375]


def test_the_weights_of_the_pooling():
    scores = {
        "encoder/0/self": FIRST,
        "pooling": np.array([0.2, 0.8]).reshape(1, 1, 1, 2),
    }
    # .2 [1, 0] + .8 [.25, .75]
    assert rollout(scores, class_token=True) == pytest.approx([0.4, 0.6])
    # Of several queries it is the mean: .5 each.
    several = np.array([[0.2, 0.8], [0.8, 0.2]]).reshape(1, 1, 2, 2)
    scores["pooling"] = several
    assert rollout(scores) == pytest.approx([0.625, 0.375])


def test_layers_go_by_their_number():
    scores = {"model/encoder/1/self": SECOND, "model/encoder/0/self": FIRST}
    assert rollout(scores, class_token=True) == [0.625, 0.375]
    # The other way round both states hold half of each token from the start.
    scores = {"encoder/1/self": FIRST, "encoder/0/self": SECOND}
    assert rollout(scores, class_token=True) == [0.5, 0.5]
    names = [f"encoder/{number}/self" for number in range(12)]
    shuffled = dict.fromkeys(sorted(names), FIRST)
    assert list(shuffled) != names
    assert encoder_layers(shuffled) == names


@pytest.mark.parametrize(
    "names",
    [
        [],
        ["pooling"],
        ["encoder/1/self"],
        ["encoder/0/self", "encoder/2/self"],
        ["encoder/0/self", "decoder/0/cross"],
        ["encoder/0/self", "decoder/0/self"],
        ["left/encoder/0/self", "right/encoder/0/self"],
        ["encoder/self"],
    ],
)
def test_other_models_have_none(names):
    assert classifier_rollout(dict.fromkeys(names, FIRST), TEXT) is None


def test_layers_of_several_lengths_have_none():
    scores = {"encoder/0/self": FIRST, "encoder/1/self": FIRST[..., :1]}
    assert encoder_layers(scores) is None

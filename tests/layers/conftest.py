import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

import layers
from layers.concat_attention import ConcatAttention
from layers.local_attention import LocalAttention
from layers.location_attention import LocationAttention
from layers.multiplicative_attention import MultiplicativeAttention


@dataclasses.dataclass(frozen=True)
class Case:
    """A query-key layer, and the widths it is tried with.

    All sizes of the checks differ: B 2, T 3, S 5, and these.

    Attributes:
        has_weights: Whether the layer has something to learn.
        uses_key: Whether what the keys hold matters.
        sums_to_one: Whether scores sum to 1 over the allowed keys, and not
            to less.
    """

    layer: type
    arguments: dict
    query_dim: int = 7
    key_dim: int = 11
    value_dim: int = 13
    has_weights: bool = True
    uses_key: bool = True
    sums_to_one: bool = True

    @property
    def name(self):
        given = [f"{name}={value}" for name, value in self.arguments.items()]
        return "-".join([self.layer.__name__, *given])

    def make(self, **more):
        return self.layer(**{**self.arguments, **more})

    def inputs(self, batch_size=2, query_length=3, key_length=5, seed=0):
        """Query, value and key, as the layers take them."""
        draw = np.random.default_rng(seed).normal
        return (
            draw(size=(batch_size, query_length, self.query_dim)).astype("f4"),
            draw(size=(batch_size, key_length, self.value_dim)).astype("f4"),
            draw(size=(batch_size, key_length, self.key_dim)).astype("f4"),
        )

    def symbols(self, query_length=3, key_length=5):
        """The same three as inputs of a functional model."""
        return (
            keras.Input((query_length, self.query_dim), name="query"),
            keras.Input((key_length, self.value_dim), name="value"),
            keras.Input((key_length, self.key_dim), name="key"),
        )


# A new query-key layer needs a row here; a test finds one that is missing.
CASES = (
    Case(layers.AdditiveAttention, {"units": 17}),
    Case(layers.AdditiveAttention, {"units": 17, "use_bias": True}),
    Case(ConcatAttention, {"units": 17}),
    Case(layers.DotProductAttention, {}, key_dim=7, has_weights=False),
    Case(
        layers.DotProductAttention,
        {"scale": False},
        key_dim=7,
        has_weights=False,
    ),
    Case(layers.DotProductAttention, {"units": 17}),
    # Windows that hold all of 5 keys, not all of 199.
    Case(LocalAttention, {"window_size": 5}),
    Case(
        LocalAttention,
        {"window_size": 5, "alignment": "predictive", "units": 17},
        sums_to_one=False,
    ),
    Case(LocationAttention, {"max_length": 211}),
    Case(
        LocationAttention,
        {"max_length": 211, "use_key": False},
        uses_key=False,
    ),
    Case(MultiplicativeAttention, {}),
    Case(
        MultiplicativeAttention,
        {"score_mode": "dot"},
        key_dim=7,
        has_weights=False,
    ),
)


def pytest_generate_tests(metafunc):
    if "case" in metafunc.fixturenames:
        metafunc.parametrize("case", CASES, ids=lambda case: case.name)


@pytest.fixture(scope="session")
def cases():
    return CASES


@pytest.fixture(scope="session")
def assert_gradients_match():
    """Gradients of float64 weights equal differences along some directions."""

    def check(loss, weights, step=1e-5):
        with tf.GradientTape() as tape:
            value = loss()
        gradients = tape.gradient(value, [weight.value for weight in weights])
        assert gradients
        draw = np.random.default_rng(13).normal
        for weight, gradient in zip(weights, gradients):
            old = np.array(weight.numpy())
            assert old.dtype == "float64"
            assert np.abs(gradient).max() > 1e-4, weight.path
            for _ in range(3):
                direction = draw(size=old.shape)
                sides = []
                for sign in (1, -1):
                    weight.assign(old + sign * step * direction)
                    sides.append(float(loss()))
                weight.assign(old)
                np.testing.assert_allclose(
                    np.sum(gradient * direction),
                    (sides[0] - sides[1]) / (2 * step),
                    rtol=1e-6,
                    atol=1e-8,
                    err_msg=weight.path,
                )

    return check


@pytest.fixture(autouse=True)
def seed():
    keras.utils.set_random_seed(11)

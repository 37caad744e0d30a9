import dataclasses

import keras
import numpy as np
import pytest

import layers


@dataclasses.dataclass(frozen=True)
class Case:
    """A query-key layer, and the widths it is tried with.

    All sizes of the checks differ: B 2, T 3, S 5, and these.
    """

    layer: type
    arguments: dict
    query_dim: int = 7
    key_dim: int = 11
    value_dim: int = 13

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
    Case(layers.DotProductAttention, {}, query_dim=7, key_dim=7),
    Case(layers.DotProductAttention, {"scale": False}, query_dim=7, key_dim=7),
    Case(layers.DotProductAttention, {"units": 17}),
)


def pytest_generate_tests(metafunc):
    if "case" in metafunc.fixturenames:
        metafunc.parametrize("case", CASES, ids=lambda case: case.name)


@pytest.fixture(scope="session")
def cases():
    return CASES


@pytest.fixture(autouse=True)
def seed():
    keras.utils.set_random_seed(11)

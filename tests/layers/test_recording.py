import contextvars
import threading

import keras
import numpy as np
import pytest
from keras import ops

from layers import AdditiveAttention
from layers import DotProductAttention
from layers import record_attention
from layers.recording import is_recording
from layers.recording import pause_recording
from tests.layers.running import array
from tests.layers.running import assert_allclose
from tests.layers.running import assert_array_equal
from tests.layers.running import compiled
from tests.layers.running import dtype_of
from tests.layers.running import each_jit
from tests.layers.running import gradients


class Reader(keras.layers.Layer):
    """Two attention layers, one of which is called twice."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.first = AdditiveAttention(units=17, name="first")
        self.second = DotProductAttention(name="second")

    def build(self, query_shape, value_shape):
        self.first.build(query_shape, value_shape)
        self.second.build(value_shape, value_shape)

    def call(self, query, value):
        context = self.first(query, value)
        context = self.second(context, value)
        return self.second(context, value)


QUERY = np.random.default_rng(0).normal(size=(2, 3, 7)).astype("float32")
VALUE = np.random.default_rng(1).normal(size=(2, 5, 11)).astype("float32")
PATHS = ["reader/first", "reader/second", "reader/second:1"]


@pytest.fixture
def reader():
    layer = Reader(name="reader")
    layer(QUERY, VALUE)
    return layer


def by_hand(layer):
    """The scores, asked for one layer after the other."""
    asked = {"return_attention_scores": True}
    context, first = layer.first(QUERY, VALUE, **asked)
    context, second = layer.second(context, VALUE, **asked)
    _, third = layer.second(context, VALUE, **asked)
    return first, second, third


def assert_same(scores, expected, **tolerance):
    assert list(scores) == PATHS
    for left, right in zip(scores.values(), expected):
        assert left.shape == (2, 1, 3, 5)
        assert dtype_of(left) == "float32"
        assert_allclose(left, right, **tolerance)


def test_scores_are_those_returned(case):
    layer = case.make(name="look")
    inputs = case.inputs()
    with record_attention() as scores:
        assert scores == {}
        context, returned = layer(*inputs, return_attention_scores=True)
    assert list(scores) == ["look"]
    assert_array_equal(scores["look"], returned)
    with record_attention() as scores:
        unasked = layer(*inputs)
    assert_array_equal(scores["look"], returned)
    assert_array_equal(unasked, context)
    assert_array_equal(layer(*inputs), context)


def test_paths_and_a_layer_called_twice(reader):
    with record_attention() as scores:
        reader(QUERY, VALUE)
    assert_same(scores, by_hand(reader), rtol=0)


def test_a_layer_called_three_times():
    layer = DotProductAttention(name="look")
    with record_attention() as scores:
        for _ in range(3):
            layer(VALUE, VALUE)
    assert list(scores) == ["look", "look:1", "look:2"]


def test_functional_model(reader):
    symbols = [keras.Input((None, 7)), keras.Input((None, 11))]
    model = keras.Model(symbols, reader(*symbols))
    with record_attention() as scores:
        output = model([QUERY, VALUE])
    assert_same(scores, by_hand(reader), rtol=0)
    assert_array_equal(output, model([QUERY, VALUE]))


@each_jit
def test_inside_a_graph(reader, jit):
    def call(query, value):
        with record_attention() as scores:
            context = reader(query, value)
        return context, dict(scores)

    context, scores = compiled(call, jit)(QUERY, VALUE)
    assert_same(scores, by_hand(reader), atol=1e-6)
    assert_allclose(context, reader(QUERY, VALUE), atol=1e-6)


def test_a_gradient_flows_through_recorded_scores(reader):
    def loss():
        with record_attention() as scores:
            reader(QUERY, VALUE)
        return ops.sum(scores["reader/first"][..., 0])

    _, found = gradients(loss, weights=reader.first.trainable_variables)
    assert len(found) == 3
    for gradient in found:
        assert np.abs(gradient).max() > 1e-4


def test_a_block_in_a_block_fills_both():
    layer = DotProductAttention(name="look")
    with record_attention() as outer:
        layer(VALUE, VALUE)
        with record_attention() as inner:
            layer(2 * VALUE, VALUE)
        layer(3 * VALUE, VALUE)
    assert list(outer) == ["look", "look:1", "look:2"]
    assert list(inner) == ["look"]
    assert_array_equal(inner["look"], outer["look:1"])


def test_two_blocks_know_nothing_of_each_other():
    layer = DotProductAttention(name="look")
    with record_attention() as first:
        layer(VALUE, VALUE)
    with record_attention() as second:
        layer(2 * VALUE, VALUE)
    assert list(first) == list(second) == ["look"]
    assert np.abs(array(first["look"] - second["look"])).max() > 1e-3


def test_nothing_is_recorded_outside(reader):
    assert not is_recording()
    with record_attention() as scores:
        assert is_recording()
    assert not is_recording()
    reader(QUERY, VALUE)
    assert scores == {}


def test_an_error_ends_the_block(reader):
    with pytest.raises(RuntimeError, match="stop"), record_attention():
        raise RuntimeError("stop")
    assert not is_recording()


def test_a_pause(reader):
    with record_attention() as scores:
        with pause_recording():
            assert not is_recording()
            reader(QUERY, VALUE)
        assert is_recording()
        assert scores == {}
        reader(QUERY, VALUE)
    assert list(scores) == PATHS


def test_another_thread_does_not_record(reader):
    with record_attention() as scores:
        thread = threading.Thread(
            target=contextvars.Context().run,
            args=(reader, QUERY, VALUE),
        )
        thread.start()
        thread.join()
    assert scores == {}

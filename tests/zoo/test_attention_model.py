import keras
import numpy as np
import pytest

import zoo
from layers import DotProductAttention
from layers import record_attention
from zoo._attention_model import AttentionModel


class TwoReaders(AttentionModel):
    """Two attention layers, one of them inside another layer."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.low = DotProductAttention(name="low")
        self.high = keras.Sequential(
            [keras.layers.Dense(5, name="dense")], name="high"
        )
        self.top = DotProductAttention(dropout=0.5, name="top")

    def call(self, inputs, training=None):
        context = self.high(self.low(inputs, inputs))
        return self.top(context, context, training=training)


INPUTS = np.random.default_rng(0).normal(size=(2, 3, 7)).astype("float32")


def test_layer_by_layer():
    model = TwoReaders(name="readers")
    scores = model.attention_scores(INPUTS)
    assert list(scores) == ["low", "top"]
    _, low = model.low(INPUTS, INPUTS, return_attention_scores=True)
    np.testing.assert_array_equal(scores["low"], low)
    assert scores["top"].shape == (2, 1, 3, 3)


def test_a_model_that_was_never_called(make_translator, inputs):
    model = zoo.create_model(
        "bahdanau_translator_tiny",
        source_vocabulary_size=17,
        target_vocabulary_size=13,
    )
    (scores,) = model.attention_scores(inputs).values()
    np.testing.assert_allclose(np.sum(scores, axis=-1), 1, atol=1e-6)


def test_some_layers_in_the_order_asked():
    model = TwoReaders()
    assert list(model.attention_scores(INPUTS, layers=["top"])) == ["top"]
    names = ["top", "low"]
    assert list(model.attention_scores(INPUTS, layers=names)) == names
    assert model.attention_scores(INPUTS, layers=[]) == {}


def test_an_unknown_layer():
    message = r"here: low, top\. Received: layers=\['low', 'middle'\]"
    with pytest.raises(ValueError, match=message):
        TwoReaders().attention_scores(INPUTS, layers=["low", "middle"])


def test_a_model_without_attention():
    class Plain(AttentionModel):
        def call(self, inputs):
            return inputs

    assert Plain().attention_scores(INPUTS) == {}
    with pytest.raises(ValueError, match="attention here: none"):
        Plain().attention_scores(INPUTS, layers=["low"])


def test_the_block_of_a_caller_records_too():
    model = TwoReaders(name="readers")
    model(INPUTS)
    with record_attention() as recorded:
        scores = model.attention_scores(INPUTS)
    assert list(recorded) == [f"readers/{name}" for name in scores]


def test_translator(make_translator, inputs):
    model = make_translator()
    (name, scores), *others = model.attention_scores(inputs).items()
    assert name == "decoder/cross"
    assert others == []
    assert scores.shape == (2, 1, 5, 7)
    assert scores.dtype == "float32"
    np.testing.assert_allclose(np.sum(scores, axis=-1), 1, atol=1e-6)
    np.testing.assert_array_equal(
        np.asarray(scores) > 0,
        np.broadcast_to((inputs["source"] != 0)[:, None, None], (2, 1, 5, 7)),
    )
    # The same again, of a second model of the same class.
    assert list(make_translator().attention_scores(inputs)) == [name]
    with pytest.raises(ValueError, match="attention here: decoder/cross"):
        model.attention_scores(inputs, layers=["encoder/0/self"])
    assert make_translator(attention="none").attention_scores(inputs) == {}

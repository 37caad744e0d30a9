import numpy as np
import pytest

import zoo
from zoo.bahdanau_translator import BahdanauTranslator

PADDING, UNKNOWN, START, END = range(4)

ATTENTIONS = ["additive", "multiplicative", "concat", "scaled_dot", "none"]
CELLS = ["gru", "lstm", "simple_rnn"]

# As a Keras model.


@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize("cell", CELLS)
def test_logits(make_translator, inputs, attention, cell):
    logits = make_translator(attention=attention, cell=cell)(inputs)
    assert logits.shape == (2, 5, 13)
    assert logits.dtype == "float32"
    assert np.all(np.isfinite(logits))


@pytest.mark.parametrize(
    "arguments, message",
    [
        (
            {"attention": "dot"},
            "one of additive, multiplicative, concat, scaled_dot, none. "
            "Received: attention=dot",
        ),
        (
            {"cell": "mgu"},
            "one of gru, lstm, simple_rnn. Received: cell=mgu",
        ),
        (
            {"tie_embeddings": True, "readout_dim": 5},
            "must be `embedding_dim`, 6. Received: readout_dim=5",
        ),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        BahdanauTranslator(17, 13, embedding_dim=6, **arguments)


# What it computes.


def test_tied_embeddings(make_translator, inputs):
    model = make_translator(tie_embeddings=True)
    assert model.output_projection is None
    table = model.target_embedding.embeddings.numpy()
    memory = model.encode(inputs["source"])
    embedded = model.target_embedding(inputs["target"])
    states, contexts = model.decoder(
        embedded,
        memory["value"],
        memory["initial_state"],
        value_mask=memory["mask"],
    )
    features = np.concatenate([states, embedded, contexts], axis=-1)
    kernel, bias = model.readout.get_weights()
    hidden = features @ kernel + bias
    maxout = np.maximum(hidden[..., :6], hidden[..., 6:])
    np.testing.assert_allclose(model(inputs), maxout @ table.T, atol=1e-5)


@pytest.mark.parametrize("cell", CELLS)
def test_without_attention_the_context_is_the_summary(
    make_translator, inputs, cell
):
    model = make_translator(attention="none", cell=cell)
    memory = model.encode(inputs["source"])
    assert memory["value"].shape == (2, 1, 14)
    states = model.encoder(
        model.source_embedding(inputs["source"]),
        mask=inputs["source"] != PADDING,
    )[0]
    # The last real state of one way and the first of the other.
    last = (inputs["source"] != PADDING).sum(axis=1) - 1
    expected = [
        np.concatenate([states[row, last[row], :7], states[row, 0, 7:]])
        for row in range(2)
    ]
    np.testing.assert_allclose(memory["value"][:, 0], expected, atol=1e-6)
    kernel, bias = model.bridge.get_weights()
    np.testing.assert_allclose(
        memory["initial_state"], np.tanh(expected @ kernel + bias), atol=1e-6
    )


def test_sizes_of_rnnsearch():
    preset = zoo.get_preset("bahdanau_translator_large")
    model = zoo.create_model(preset.name, **preset.counted_with)
    ids = np.array([[5]])
    model({"source": ids, "target": ids})
    # Section A.2 and B.1: K 30,000, m 620, n and n' 1000, l 500.
    decoder, encoder = model.decoder, model.encoder
    for weight, shape in (
        (model.source_embedding.embeddings, (30_000, 620)),
        (model.target_embedding.embeddings, (30_000, 620)),
        (encoder.forward_layer.cell.kernel, (620, 3 * 1000)),
        (encoder.backward_layer.cell.recurrent_kernel, (1000, 3 * 1000)),
        (decoder.attention.query_kernel, (1000, 1000)),
        (decoder.attention.key_kernel, (2000, 1000)),
        (decoder.attention.score_kernel, (1000, 1)),
        (decoder.context_projection.kernel, (2000, 3 * 1000)),
        (model.readout.kernel, (1000 + 620 + 2000, 2 * 500)),
        (model.output_projection.kernel, (500, 30_000)),
    ):
        assert weight.shape == shape, weight.path

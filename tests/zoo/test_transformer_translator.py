import pathlib

import numpy as np
import pytest

from zoo.transformer_translator import TransformerTranslator

GOLDEN = np.load(
    pathlib.Path(__file__).parent / "golden" / "torch_transformer.npz"
)


def take_attention(layer, weights, name):
    """torch keeps the matrices of query, key and value on top of each
    other, and multiplies from the left."""
    kernels = np.split(weights[f"{name}.in_proj_weight"], 3)
    biases = np.split(weights[f"{name}.in_proj_bias"], 3)
    for part, kernel, bias in zip(("query", "key", "value"), kernels, biases):
        getattr(layer, f"{part}_kernel").assign(kernel.T)
        getattr(layer, f"{part}_bias").assign(bias)
    layer.output_kernel.assign(weights[f"{name}.out_proj.weight"].T)
    layer.output_bias.assign(weights[f"{name}.out_proj.bias"])


def take_norm(layer, weights, name):
    layer.gamma.assign(weights[f"{name}.weight"])
    layer.beta.assign(weights[f"{name}.bias"])


def take_block(block, weights, prefix, branches):
    for place, (ours, theirs) in enumerate(branches.items(), start=1):
        norm = getattr(block, f"{ours}_normalization")
        take_norm(norm, weights, f"{prefix}.norm{place}")
        if ours != "feed_forward":
            attention = getattr(block, ours)
            take_attention(attention, weights, f"{prefix}.{theirs}")
    for number, part in enumerate(("hidden", "output"), start=1):
        dense = getattr(block.feed_forward, f"{part}_projection")
        dense.kernel.assign(weights[f"{prefix}.linear{number}.weight"].T)
        dense.bias.assign(weights[f"{prefix}.linear{number}.bias"])


@pytest.mark.parametrize("name", ["pre", "post"])
def test_logits_are_those_of_torch(name):
    weights = {
        key.removeprefix(f"{name}/weights/"): GOLDEN[key]
        for key in GOLDEN
        if key.startswith(f"{name}/weights/")
    }
    model = TransformerTranslator(
        17,
        17,
        num_layers=2,
        num_heads=3,
        hidden_dim=12,
        intermediate_dim=20,
        share_embeddings=True,
        normalize_first=name == "pre",
        activation="gelu" if name == "pre" else "relu",
    )
    model.build()
    model.target_embedding.embeddings.assign(weights["embeddings"])
    for side, branches in (
        ("encoder", {"attention": "self_attn", "feed_forward": None}),
        (
            "decoder",
            {
                "self_attention": "self_attn",
                "cross_attention": "multihead_attn",
                "feed_forward": None,
            },
        ),
    ):
        stack = getattr(model, side)
        for place, block in enumerate(stack.blocks):
            take_block(block, weights, f"{side}.layers.{place}", branches)
        if name == "pre":
            take_norm(stack.normalization, weights, f"{side}.norm")
    inputs = {"source": GOLDEN["source"], "target": GOLDEN["target"]}
    np.testing.assert_allclose(
        model(inputs), GOLDEN[f"{name}/logits"], rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"num_heads": 5}, "Received: num_heads=5, hidden_dim=12"),
        ({"num_layers": 0}, "Received: num_layers=0"),
        ({"num_decoder_layers": 0}, "Received: num_layers=0"),
        (
            {"share_embeddings": True},
            "must be one. Received: source_vocabulary_size=17, "
            "target_vocabulary_size=13",
        ),
        ({"activation": "gelou"}, "gelou"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        TransformerTranslator(
            17, 13, **{"num_heads": 3, "hidden_dim": 12, **arguments}
        )


def test_scores_of_every_layer(make_translator, inputs):
    model = make_translator(kind="transformer")
    scores = model.attention_scores(inputs)
    source, target = (inputs[side] != 0 for side in ("source", "target"))
    shapes = {"encoder": (7, 7), "self": (5, 5), "cross": (5, 7)}
    assert list(scores) == [
        "encoder/0/self",
        "encoder/1/self",
        "decoder/0/self",
        "decoder/0/cross",
        "decoder/1/self",
        "decoder/1/cross",
    ]
    for name, each in scores.items():
        side, _, kind = name.split("/")
        each = np.asarray(each)
        rows = source if side == "encoder" else target
        columns = target if (side, kind) == ("decoder", "self") else source
        assert each.shape == (
            2,
            3,
            *shapes["encoder" if side == "encoder" else kind],
        )
        allowed = rows[:, None, :, None] & columns[:, None, None, :]
        if (side, kind) == ("decoder", "self"):
            allowed = allowed & np.tri(5, dtype=bool)
        np.testing.assert_array_equal(
            each > 0, np.broadcast_to(allowed, each.shape)
        )


def test_one_embedding_for_all(make_translator):
    model = make_translator(
        kind="transformer", target_vocabulary_size=17, share_embeddings=True
    )
    paths = [weight.path for weight in model.weights]
    assert sum("embedding" in path for path in paths) == 1
    assert model.source_embedding is model.target_embedding

"""Write what torch's Transformer computes, for the tests of ours.

    python tests/zoo/golden/make_torch_transformer.py

needs `torch` (requirements-bench.txt) and writes `torch_transformer.npz`: for
pre-norm and post-norm the weights of `torch.nn.Transformer`, random, and the
logits of two padded sentence pairs. Embeddings, positions and output are
written out here, after section 3.4 and 3.5 of Vaswani et al. (2017).
"""

import pathlib

import numpy as np
import torch

WIDTH, HEADS, LAYERS, INNER, VOCABULARY = 12, 3, 2, 20, 17
SOURCE = np.array([[5, 6, 7, 3, 0, 0, 0], [4, 5, 6, 7, 8, 9, 3]])
TARGET = np.array([[2, 4, 5, 6, 7], [2, 7, 8, 9, 10]])


def positions(length):
    place = np.arange(length)[:, None]
    table = np.zeros((length, WIDTH))
    for pair in range(WIDTH // 2):
        angle = place[:, 0] / 10000 ** (2 * pair / WIDTH)
        table[:, 2 * pair] = np.sin(angle)
        table[:, 2 * pair + 1] = np.cos(angle)
    return table


def embed(table, tokens):
    embedded = table[tokens] * np.sqrt(WIDTH) + positions(tokens.shape[1])
    return torch.tensor(embedded, dtype=torch.float32)


def logits_and_weights(norm_first, activation, seed):
    model = torch.nn.Transformer(
        WIDTH,
        HEADS,
        LAYERS,
        LAYERS,
        INNER,
        dropout=0.0,
        activation=activation,
        norm_first=norm_first,
        batch_first=True,
        layer_norm_eps=1e-6,
    ).eval()
    if not norm_first:  # as in the paper
        model.encoder.norm = model.decoder.norm = None
    draw = np.random.default_rng(seed).normal
    for name, weight in model.named_parameters():
        numbers = draw(scale=0.4, size=weight.shape)
        if "norm" in name and name.endswith("weight"):
            numbers = 1 + numbers
        weight.data = torch.tensor(numbers, dtype=torch.float32)
    table = draw(scale=0.4, size=(VOCABULARY, WIDTH)).astype("float32")
    padding = torch.tensor(SOURCE == 0)
    with torch.no_grad():
        states = model(
            embed(table, SOURCE),
            embed(table, TARGET),
            tgt_mask=model.generate_square_subsequent_mask(TARGET.shape[1]),
            src_key_padding_mask=padding,
            memory_key_padding_mask=padding,
        )
    weights = {
        name: each.detach().numpy() for name, each in model.named_parameters()
    }
    return states.numpy() @ table.T, {**weights, "embeddings": table}


def main():
    content = {"source": SOURCE, "target": TARGET}
    for name, norm_first, activation in (
        ("pre", True, "gelu"),
        ("post", False, "relu"),
    ):
        logits, weights = logits_and_weights(norm_first, activation, 7)
        content[f"{name}/logits"] = logits
        for key, weight in weights.items():
            content[f"{name}/weights/{key}"] = weight
    path = pathlib.Path(__file__).with_name("torch_transformer.npz")
    np.savez_compressed(path, **content)


if __name__ == "__main__":
    main()

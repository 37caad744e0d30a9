"""Write torch.npz: what torch's attention gives for stored inputs.

    python tests/layers/golden/make_torch.py

needs `torch` (requirements-bench.txt). Outputs and gradients are of float64.
"""

import pathlib

import numpy as np
import torch
from torch.nn import functional


def multi_head(generator):
    """`nn.MultiheadAttention`: 4 heads, 12 wide, keys 10 and values 14."""
    layer = torch.nn.MultiheadAttention(
        12, 4, kdim=10, vdim=14, batch_first=True, dtype=torch.float64
    )
    for weight in layer.parameters():
        draw = generator.normal(scale=0.5, size=weight.shape)
        weight.data = torch.tensor(draw)
    query, key, value = (
        torch.tensor(generator.normal(size=shape), requires_grad=True)
        for shape in ((2, 3, 12), (2, 5, 10), (2, 5, 14))
    )
    hidden = torch.tensor(
        [[False, False, False, False, True], [False, True, False, False, False]]
    )
    outputs, scores = layer(
        query,
        key,
        value,
        key_padding_mask=hidden,
        average_attn_weights=False,
    )
    direction = torch.tensor(generator.normal(size=outputs.shape))
    (outputs * direction).sum().backward()
    found = {
        "query": query,
        "key": key,
        "value": value,
        "mask": ~hidden,
        "outputs": outputs,
        "scores": scores,
        "direction": direction,
        "query_gradient": query.grad,
        "key_gradient": key.grad,
        "value_gradient": value.grad,
        "query_kernel": layer.q_proj_weight.T,
        "key_kernel": layer.k_proj_weight.T,
        "value_kernel": layer.v_proj_weight.T,
        "output_kernel": layer.out_proj.weight.T,
        "output_bias": layer.out_proj.bias,
        "query_kernel_gradient": layer.q_proj_weight.grad.T,
        "output_kernel_gradient": layer.out_proj.weight.grad.T,
    }
    names = ("query_bias", "key_bias", "value_bias")
    found.update(zip(names, layer.in_proj_bias.chunk(3)))
    return found


def dot_product(generator):
    """`scaled_dot_product_attention`: masks, causal, grouped queries."""
    found = {}
    query = torch.tensor(generator.normal(size=(2, 6, 7, 5)))
    mask = torch.tensor(generator.normal(size=(2, 6, 7, 7)) > -0.5)
    mask[..., 0] = True  # torch has NaN in rows without keys
    found.update(query=query, mask=mask)
    for heads in (6, 2):
        key = torch.tensor(generator.normal(size=(2, heads, 7, 5)))
        value = torch.tensor(generator.normal(size=(2, heads, 7, 4)))
        found.update({f"key_{heads}": key, f"value_{heads}": value})
        options = {"enable_gqa": heads != 6}
        for name, more in (
            ("plain", {}),
            ("masked", {"attn_mask": mask}),
            ("causal", {"is_causal": True}),
        ):
            found[f"{name}_{heads}"] = functional.scaled_dot_product_attention(
                query, key, value, **options, **more
            )
    return found


def main():
    """Write the file beside this one."""
    arrays = {}
    for name, make in (("multi_head", multi_head), ("dot", dot_product)):
        for key, tensor in make(np.random.default_rng(0)).items():
            arrays[f"{name}/{key}"] = tensor.detach().numpy()
    path = pathlib.Path(__file__).with_name("torch.npz")
    np.savez_compressed(path, **arrays)


if __name__ == "__main__":
    main()

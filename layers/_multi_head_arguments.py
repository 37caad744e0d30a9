"""Which arguments of `MultiHeadAttention` make sense."""

from layers._call_contract import check_positive


def check_sizes(layer):
    """See that sizes are positive, and that heads can be shared."""
    sizes = {
        name: getattr(layer, name)
        for name in ("value_dim", "num_key_value_heads", "output_dim")
    }
    check_positive(num_heads=layer.num_heads, key_dim=layer.key_dim)
    check_positive(
        **{name: size for name, size in sizes.items() if size is not None}
    )
    if layer.num_heads % layer.groups:
        raise ValueError(
            "`num_key_value_heads` must divide `num_heads`. Received: "
            f"num_key_value_heads={layer.groups}, num_heads={layer.num_heads}"
        )


def check_parts(layer):
    """What cannot go together."""
    if layer.attention is not None:
        for name, nothing in (
            ("dropout", 0.0),
            ("window_size", None),
            ("blockwise", None),
            ("num_key_value_heads", None),
        ):
            given = getattr(layer, name)
            if given != nothing:
                raise ValueError(
                    f"With `attention`, `{name}` is that of `attention`. "
                    f"Received: {name}={given}"
                )
    if layer.adds_bias and (layer.blockwise or layer.attention is not None):
        raise ValueError(
            "A `RelativePositionBias` needs the scaled dot product and all "
            f"scores at once. Received: blockwise={layer.blockwise}, "
            f"attention={layer.attention}"
        )

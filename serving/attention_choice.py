"""Which layers and heads an exported model shows."""

# The default limit of gRPC for one message is 4 MiB, 4,194,304 bytes. What is
# left has a place for the strings of tokens and the names of outputs.
MOST_BYTES = 4_000_000


def choose_layers_and_heads(num_layers, num_heads, length, most_bytes):
    """The layers and heads whose attention fits into one answer.

    All of them, if they fit. Else all heads of as many layers as fit, evenly
    spread, the last layer among them; else as many heads of the last layer
    as fit, evenly spread, at least one.

    Args:
        num_layers: Number of layers, L.
        num_heads: Number of heads of each, N.
        length: Most tokens of one input, T.
        most_bytes: Most bytes of the float32 scores `(L, N, T, T)`.

    Returns:
        The numbers of the layers and the numbers of the heads, two tuples.

    Example:

    >>> choose_layers_and_heads(12, 12, 197, 4_000_000)[0]  # ViT-B/16
    (5, 11)
    """
    count = most_bytes // (4 * length * length)
    if count >= num_heads:
        layers = _spread(num_layers, min(count // num_heads, num_layers))
        return layers, tuple(range(num_heads))
    return (num_layers - 1,), _spread(num_heads, max(count, 1))


def _spread(size, count):
    """`count` of the numbers below `size`, evenly spread, the last one in."""
    return tuple((place + 1) * size // count - 1 for place in range(count))

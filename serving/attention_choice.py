"""Which layers and heads an exported model shows."""

# The default limit of gRPC for one message is 4 MiB, 4,194,304 bytes. What is
# left has a place for the strings of tokens and the names of outputs.
MOST_BYTES = 4_000_000
# Protobuf has no larger message, whatever limit a client sets.
_PROTOBUF_BYTES = 2**31 - 1


def choose_layers_and_heads(num_layers, num_heads, lengths, most_bytes):
    """The layers and heads whose attention fits into one answer.

    All of them, if they fit. Else all heads of as many layers as fit, evenly
    spread, the last layer among them; else as many heads of the last layer
    as fit, evenly spread, at least one.

    Args:
        num_layers: Number of layers, L.
        num_heads: Number of heads of each, N.
        lengths: Most queries and most keys of one input, `(T, S)`.
        most_bytes: Most bytes of the float32 scores `(L, N, T, S)`.

    Returns:
        The numbers of the layers and the numbers of the heads, two tuples.

    Example:

    >>> vit_base = choose_layers_and_heads(12, 12, (197, 197), 4_000_000)
    >>> vit_base[0]
    (5, 11)
    """
    count = most_bytes // score_bytes(lengths)
    if count >= num_heads:
        layers = _spread(num_layers, min(count // num_heads, num_layers))
        return layers, tuple(range(num_heads))
    return (num_layers - 1,), _spread(num_heads, max(count, 1))


def share_between(stacks, most_bytes):
    """The layers and heads of several kinds of attention in one answer.

    Each has the same share of the bytes; what a small one leaves is for the
    larger ones.

    Args:
        stacks: `{output: (num_layers, num_heads, lengths)}`, see
            `choose_layers_and_heads`.
        most_bytes: Most bytes of them all.

    Returns:
        `{output: (layers, heads)}`, and the number of bytes of all.
    """
    chosen, left = {}, most_bytes
    by_size = sorted(stacks.items(), key=lambda item: _all_bytes(*item[1]))
    for place, (output, stack) in enumerate(by_size):
        share = left // (len(stacks) - place)
        layers, heads = choose_layers_and_heads(*stack, share)
        chosen[output] = layers, heads
        left -= _all_bytes(len(layers), len(heads), stack[-1])
    return chosen, most_bytes - left


def _all_bytes(num_layers, num_heads, lengths):
    return num_layers * num_heads * score_bytes(lengths)


def score_bytes(lengths):
    """Bytes of the float32 scores `(T, S)` of one head."""
    num_queries, num_keys = lengths
    return 4 * num_queries * num_keys


def size_note(signature, num_bytes):
    """What to say of the longest answer of a signature, "" for nothing.

    Args:
        signature: Its name.
        num_bytes: Bytes of the answer to one longest input.

    Raises:
        ValueError: If no server can send it.
    """
    if num_bytes > _PROTOBUF_BYTES:
        raise ValueError(
            f"An answer of `{signature}` must have less than 2 GiB, the limit "
            "of protobuf: shorten the longest input. "
            f"Received: {num_bytes:,} bytes"
        )
    if num_bytes <= MOST_BYTES:
        return ""
    return (
        f"one answer of `{signature}` may have {num_bytes / 1e6:.1f} MB. gRPC "
        "takes 4 MiB unless the client raises its limit, "
        "grpc.max_receive_message_length"
    )


def _spread(size, count):
    """`count` of the numbers below `size`, evenly spread, the last one in."""
    return tuple((place + 1) * size // count - 1 for place in range(count))

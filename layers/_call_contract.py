"""How every attention layer with a query, a key and a value is called."""

CALL_ARGUMENTS = """
    Call arguments:
        query: `(batch_size, query_length, query_dim)`.
        value: `(batch_size, key_length, value_dim)`.
        key: `(batch_size, key_length, key_dim)`; `value` by default.
        query_mask: Boolean `(batch_size, query_length)`; a False row attends
            to nothing.
        value_mask: Boolean `(batch_size, key_length)`, True = may attend.
        key_mask: Boolean `(batch_size, key_length)`, True = may attend.
        attention_mask: Boolean `(T, S)`, `(B, T, S)` or `(B, N, T, S)`.
        use_causal_mask: Whether query row `t` sees only the keys up to
            position `key_length - query_length + t`.
        return_attention_scores: Whether to return the scores too. Asking
            never changes the output.
        training: Whether dropout is active.

    Returns:
        The context `(batch_size, query_length, value_dim)`, or
        `(context, scores)`. Scores have the shape
        `(batch_size, 1, query_length, key_length)`, float32, after mask and
        softmax, before dropout. Rows sum to 1 over the allowed keys; a query
        with no allowed key has scores 0 and context 0.

    Raises:
        ValueError: If a mask is not boolean.
"""


def may_equal(size, other):
    """Whether two sizes are the same, or one is not known."""
    known = isinstance(size, int) and isinstance(other, int)
    return not known or size == other


def check_inputs(query, value, key):
    """Ranks, and sizes that are known.

    Raises:
        ValueError: If they do not fit.
    """
    tensors = {"query": query, "value": value}
    if key is not None:
        tensors["key"] = key
    for name, tensor in tensors.items():
        if len(tensor.shape) != 3:
            raise ValueError(
                f"`{name}` must have 3 axes, (batch_size, length, dim). "
                f"Received: {name}.shape={tuple(tensor.shape)}"
            )
    for name, other, axis, what in (
        ("query", "value", 0, "batch_size"),
        ("key", "value", 0, "batch_size"),
        ("key", "value", 1, "length"),
    ):
        if name in tensors:
            left, right = tensors[name].shape, tensors[other].shape
            if not may_equal(left[axis], right[axis]):
                raise ValueError(
                    f"`{name}` and `{other}` must have the same {what}. "
                    f"Received: {name}.shape={tuple(left)}, "
                    f"{other}.shape={tuple(right)}"
                )


def check_positive(**sizes):
    """See that each of the sizes is a positive integer.

    Raises:
        ValueError: If one is not.
    """
    for name, size in sizes.items():
        if not isinstance(size, int) or size <= 0:
            raise ValueError(
                f"`{name}` must be a positive integer. Received: {name}={size}"
            )

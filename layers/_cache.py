"""Memories that grow: keys and values of the steps so far."""

from keras import ops

from layers._positions import known_integer


def memory_length(memory):
    """How many keys a memory holds, a scalar."""
    if "length" in memory:
        return memory["length"]
    return ops.shape(memory["key"])[-2]


def make_cache(memory, capacity):
    """The memory with room for `capacity` keys, the rest of it empty.

    Args:
        memory: A dictionary: `mask` `(batch_size, key_length)` or none, and
            tensors whose second last axis is that of the keys.
        capacity: Most keys, an integer or a scalar tensor.

    Returns:
        The memory, all of whose tensors are of full length, and `length`,
        how many keys there are. A mask is always there, so that a memory
        has the same tensors before and after a step.

    Raises:
        ValueError: If there are more keys than that.
    """
    length = ops.shape(memory["key"])[-2]
    room = known_integer(capacity)
    if isinstance(length, int) and room is not None and length > room:
        raise ValueError(
            "`capacity` must be at least the number of keys. "
            f"Received: capacity={capacity}, key_length={length}"
        )
    batch_size = ops.shape(memory["key"])[0]
    mask = memory.get("mask", ops.ones((batch_size, length), dtype="bool"))
    cache = {
        name: _extend(tensor, capacity - length)
        for name, tensor in memory.items()
        if name != "mask"
    }
    cache["mask"] = _extend(mask[..., None], capacity - length)[..., 0]
    return {**cache, "length": ops.convert_to_tensor(length, dtype="int32")}


def append_to(memory, new, mask=None):
    """A memory with the tensors of `new` behind its own.

    Args:
        memory: What `make_cache` gave, or a plain memory.
        new: The same tensors of the new keys.
        mask: Boolean `(batch_size, new_length)`; None is all.

    Raises:
        ValueError: If the memory is full, where that can be known.
    """
    batch_size, count = ops.shape(new["key"])[0], ops.shape(new["key"])[-2]
    if mask is None and "mask" in memory:
        mask = ops.ones((batch_size, count), dtype="bool")
    if mask is not None:
        old = memory.get("mask")
        if old is None:
            old = ops.ones((batch_size, memory_length(memory)), dtype="bool")
        memory = {**memory, "mask": old}
        new = {**new, "mask": mask}
    if "length" not in memory:
        return {name: _join(name, memory[name], new[name]) for name in new}
    length, capacity = memory["length"], ops.shape(memory["key"])[-2]
    _check_room(length, count, capacity)
    # Row i of the cache is row i - length of the new ones, if there is one.
    place = ops.arange(capacity, dtype="int32") - length
    inside = ops.logical_and(place >= 0, place < count)
    place = ops.clip(place, 0, count - 1)
    written = {}
    for name, rows in new.items():
        axis = 1 if name == "mask" else len(rows.shape) - 2
        if known_integer(count) != 1:  # one row is broadcast
            rows = ops.take(rows, place, axis=axis)
        shape = [1] * len(rows.shape)
        shape[axis] = -1
        written[name] = ops.where(
            ops.reshape(inside, shape), rows, memory[name]
        )
    return {**written, "length": length + count}


def _extend(tensor, count):
    """Zeros behind the second last axis."""
    widths = [(0, 0)] * len(tensor.shape)
    widths[-2] = (0, count)
    return ops.pad(tensor, widths)


def _join(name, old, new):
    axis = 1 if name == "mask" else len(old.shape) - 2
    return ops.concatenate([old, ops.cast(new, old.dtype)], axis=axis)


def _check_room(length, count, capacity):
    needed, room = known_integer(length + count), known_integer(capacity)
    # Symbols are numbers that the graph alone will know.
    if needed is not None and room is not None and needed > room:
        raise ValueError(
            f"A memory of capacity {capacity} is full. "
            f"Received: length={needed - count}, new_length={count}"
        )

"""Collect the attention of any Keras model that uses these layers."""

import contextlib
import contextvars

# The blocks that are open here, the outermost first.
_recorders = contextvars.ContextVar("attention_recorders", default=())


class _Recorder(dict):
    """`{layer path: scores}` in the order of the calls."""

    def add(self, path, scores):
        name, count = path, 1
        while name in self:  # a layer that is called more than once
            name, count = f"{path}:{count}", count + 1
        self[name] = scores


@contextlib.contextmanager
def record_attention():
    """Collect the attention scores of every attention layer called inside.

    Works in any Keras model, built from layers of this package in whatever
    way, eagerly or inside a `tf.function` of its own. It is a context
    variable: nothing changes outside the block, nothing is stored on a
    layer, and the outputs of the model are the same to the bit. A block
    inside another fills both. The model must be built: Keras builds a
    subclassed model by a call on symbols, whose scores nobody can read.

    Yields:
        A dictionary `{layer path: scores}`, filled as the layers are called.
        Scores have the shape
        `(batch_size, num_heads, query_length, key_length)`, float32. A layer
        called again is listed as `path:1`, `path:2`, ...

    Example:

    >>> with record_attention() as scores:
    ...     outputs = model(inputs)
    >>> {path: tensor.shape for path, tensor in scores.items()}
    """
    recorder = _Recorder()
    token = _recorders.set((*_recorders.get(), recorder))
    try:
        yield recorder
    finally:
        _recorders.reset(token)


def scores_inside(model, recorded):
    """What was recorded in a model, by the paths of its layers inside it.

    Args:
        model: The `keras.Model` that was called.
        recorded: What `record_attention` collected.

    Returns:
        `{"encoder/0/self": scores, ...}`, without the name of the model.
    """
    prefix = f"{model.path or model.name}/"
    return {path.removeprefix(prefix): x for path, x in recorded.items()}


@contextlib.contextmanager
def pause_recording():
    """Record nothing inside: for loops, whose tensors must not leave them."""
    token = _recorders.set(())
    try:
        yield
    finally:
        _recorders.reset(token)


def is_recording():
    """Whether a `record_attention` block is active here."""
    return bool(_recorders.get())


def record(layer, scores):
    """Hand the scores of `layer` to the active blocks, if there are any."""
    for recorder in _recorders.get():
        recorder.add(layer.path or layer.name, scores)

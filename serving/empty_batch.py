"""Batches without rows, which not every op computes."""

import tensorflow as tf


def with_a_row(function, *tensors):
    """What a function gives, which is never asked about no row at all.

    Loops that stack what their steps give need a row, and a convolution of
    none may have an output with another number of channels.

    Args:
        function: Function of the tensors that gives a dictionary of tensors,
            the batch first.
        *tensors: Tensors with the batch first.

    Returns:
        The dictionary, with as many rows as the tensors have.
    """
    count = tf.shape(tensors[0])[0]
    missing = tf.maximum(0, 1 - count)
    answer = function(*(_with_rows(tensor, missing) for tensor in tensors))
    return {name: tensor[:count] for name, tensor in answer.items()}


def _with_rows(tensor, count):
    """The tensor with `count` rows of nothing behind its own."""
    shape = tf.concat([[count], tf.shape(tensor)[1:]], axis=0)
    longer = tf.concat([tensor, tf.zeros(shape, tensor.dtype)], axis=0)
    return tf.ensure_shape(longer, [None, *tensor.shape[1:]])

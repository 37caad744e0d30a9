"""Between Python's values and the tensors of signatures."""

import tensorflow as tf


def as_texts(texts):
    """A list of strings as a tensor.

    Raises:
        TypeError: It is a single string, whose letters would be the texts.
    """
    if isinstance(texts, str | bytes):
        raise TypeError(
            "`texts` must be a list of strings, as [text]. "
            f"Received: texts={texts!r}"
        )
    return tf.constant(list(texts), tf.string)


def rows_of(answer):
    """What a signature gave, as one dictionary of arrays for each row."""
    arrays = {name: tensor.numpy() for name, tensor in answer.items()}
    for values in zip(*arrays.values()):
        yield dict(zip(arrays, values))


def strings_of(values, skip_empty=False):
    """A list of strings; `skip_empty` leaves out padding."""
    return [value.decode() for value in values if value or not skip_empty]


def probabilities_of(row, class_names):
    """`{class name: probability}`, in the order of the model."""
    names, label = list(class_names), row["label"].decode()
    if label:
        # A server tells the name of the answer only.
        names[row["probabilities"].argmax()] = label
    return dict(zip(names, row["probabilities"].tolist()))

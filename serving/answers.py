"""Between Python's values and the tensors of signatures."""

import numpy as np
import tensorflow as tf

from serving.endpoint import ServerError


def as_texts(texts):
    """A list of strings as a tensor.

    Raises:
        TypeError: It is a single string, whose letters would be the texts.
        ValueError: One of them holds half a character, and is no text.
    """
    if isinstance(texts, str | bytes):
        raise TypeError(
            "`texts` must be a list of strings, as [text]. "
            f"Received: texts={texts!r}"
        )
    texts = list(texts)
    try:
        return tf.constant(texts, tf.string)
    except UnicodeEncodeError as error:
        raise ValueError(
            f"A text must be Unicode: {error.reason}. "
            f"Received: {error.object!r:.200}"
        ) from error


def rows_of(answer):
    """What a signature gave, as one dictionary of arrays for each row."""
    arrays = {name: tensor.numpy() for name, tensor in answer.items()}
    for values in zip(*arrays.values()):
        yield dict(zip(arrays, values))


def strings_of(values, skip_empty=False):
    """A list of strings; `skip_empty` leaves out padding."""
    return [text_of(value) for value in values if value or not skip_empty]


def text_of(value):
    """Bytes of an answer as text.

    Raises:
        ServerError: They are no UTF-8, as only those of a server may be.
    """
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise ServerError(f"an answer is no UTF-8: {error}") from error


def placeholder(number):
    """What a class is called whose name a server does not tell."""
    return f"class {number}"


def probabilities_of(row, class_names):
    """`{class name: probability}`, in the order of the model.

    Raises:
        ServerError: The class that the model names is called otherwise here.
    """
    names, label = list(class_names), text_of(row["label"])
    probabilities = row["probabilities"]
    if label and np.isfinite(probabilities).all():
        best = int(probabilities.argmax())
        # A server tells the name of the answer only.
        if names[best] not in (label, placeholder(best)):
            raise ServerError(
                f"the class {label!r} is number {best} of the model, and "
                f"{names[best]!r} in the card, which is of another model"
            )
        # One that is called as the placeholder of another.
        names = [
            f"number {n}" if name == label else name
            for n, name in enumerate(names)
        ]
        names[best] = label
    return dict(zip(names, probabilities.tolist()))

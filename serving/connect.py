"""Use a served model from a program, as if it were at hand."""

import json
import pathlib

import numpy as np
import tensorflow as tf

from serving.answers import placeholder
from serving.contract import batch_problems
from serving.contract import describe
from serving.contract import form_problems
from serving.contract import MOST_ROWS
from serving.contract import type_of
from serving.endpoint import AnswerTooLargeError
from serving.endpoint import parse_endpoint
from serving.grpc_connection import GrpcConnection
from serving.load import kind_of
from serving.rest_connection import RestConnection
from training.configuration import ConfigurationError

_MOST_CLASSES = 1_000_000
_NO_CARD = (OSError, ValueError, KeyError, TypeError, RecursionError)


def connect(url, card=None, **options):
    """Connect to a model of a TensorFlow Serving.

    Args:
        url: `grpc://HOST:PORT/MODEL`, or `http://HOST:PORT/MODEL` for REST.
        card: Path of its `model_card.json`, for the names of the classes. A
            server does not tell them; without, a class is called by its
            number, but for the one that is the answer.
        **options: `version`, its number, or `label`, of a version, by default
            the newest; `timeout`, seconds to wait for each answer, 30 by
            default; `max_megabytes`, the largest answer, 64 by default.

    Returns:
        What `serving.load` would give. Its methods raise `ServerError`, too,
        and send 32 rows at a time. If the newest version changes in between,
        the rest of the answers are its: give a `version` if they may not be.

    Raises:
        ServerError: If the server is away, or has no such model.
        ConfigurationError: If an argument is wrong, or it is no model of the
            zoo.

    Example:

    >>> name = "bahdanau_translator_tiny_phrases"
    >>> translator = serving.connect(f"grpc://127.0.0.1:8500/{name}")
    >>> translator.explain(["March 5, 2021"])[0].text
    """
    return remote_model(RemoteSignatures(url, **options), card)


def remote_model(signatures, card=None):
    """The same of `RemoteSignatures`."""
    names = {
        name: (function.definition.inputs, function.definition.outputs)
        for name, function in signatures.items()
    }
    kind = kind_of(signatures.model, names)
    signatures.check()
    return kind(signatures, _Owner(signatures, card))


class RemoteSignatures(dict):
    """The signatures of a served model: `{name: function}`.

    Args:
        url, **options: As for `connect`.
    """

    def __init__(self, url, **options):
        endpoint = parse_endpoint(url, **options)
        self.model = endpoint.shown_model
        kind = GrpcConnection if endpoint.scheme == "grpc" else RestConnection
        connection = kind(endpoint)
        self.endpoint = endpoint
        super().__init__(
            (name, _Function(connection, name, definition))
            for name, definition in connection.signatures().items()
            if not name.startswith("__")  # TensorFlow's own
        )

    def check(self):
        """See that they are those of a model of the zoo.

        Raises:
            ServerError: If an input or output is none of theirs.
        """
        found = {name: function.definition for name, function in self.items()}
        problems = form_problems(found) + batch_problems(found)
        problems += [
            f"{name}: {output} has no type"
            for name, definition in found.items()
            for output, info in definition.outputs.items()
            if not type_of(info)
        ]
        if problems:
            raise self.endpoint.unusable(problems[0])

    def __missing__(self, name):
        raise ConfigurationError(
            f"{self.model} has the signatures {', '.join(sorted(self))}. "
            f"Received: signature={name}"
        )


class _Function:
    """A signature, called as the one of a SavedModel."""

    def __init__(self, connection, name, definition):
        self.definition = definition
        self._connection = connection
        self._name = name

    def __call__(self, **inputs):
        """Tensors in and out, the batch first.

        A server is asked for so many rows at a time as it takes, and as an
        answer has room for."""
        arrays = {name: tensor.numpy() for name, tensor in inputs.items()}
        count = len(next(iter(arrays.values())))
        if not count:
            return self._nothing()
        parts = []
        for start in range(0, count, MOST_ROWS):
            rows = slice(start, start + MOST_ROWS)
            parts += self._parts({name: x[rows] for name, x in arrays.items()})
        return {
            name: tf.constant(_joined([part[name] for part in parts]))
            for name in self.definition.outputs
        }

    def _parts(self, arrays):
        """The outputs in a list, of half of the rows each if they are too
        large for one answer."""
        count = len(next(iter(arrays.values())))
        try:
            return [self._predict(arrays)]
        except AnswerTooLargeError:
            if count == 1:
                raise
        half = slice(count // 2), slice(count // 2, count)
        return [
            part
            for rows in half
            for part in self._parts({x: y[rows] for x, y in arrays.items()})
        ]

    def _predict(self, arrays):
        """The outputs for a few rows, as the server told they would be."""
        count = len(next(iter(arrays.values())))
        found = self._connection.predict(self._name, self.definition, arrays)
        for name in self.definition.outputs:
            self._check(name, found.get(name), count)
        return found

    def _check(self, name, array, count):
        """Raise if an output is not as the server told it would be."""
        info = self.definition.outputs[name]
        sizes = [count, *_sizes(info)[1:]]
        shape = [] if array is None else array.shape
        if (
            array is None
            or tf.as_dtype(array.dtype) != tf.as_dtype(info.dtype)
            or len(shape) != len(sizes)
            or any(size not in (0, own) for size, own in zip(sizes, shape))
        ):
            dtype = "nothing" if array is None else array.dtype
            raise self._connection.endpoint.unusable(
                f"`{name}` must have {count} rows, as {describe(info)}. "
                f"Received: {dtype} {list(shape)}"
            )

    def _nothing(self):
        """The answer to no row, which a server need not be asked for."""
        return {
            name: tf.zeros([0, *_sizes(info)[1:]], tf.as_dtype(info.dtype))
            for name, info in self.definition.outputs.items()
        }


class _Owner:
    """Tells the names of the classes."""

    def __init__(self, signatures, card):
        self._signatures = signatures
        self._card = card

    def class_names(self):
        outputs = self._signatures["serving_default"].definition.outputs
        count = _sizes(outputs["probabilities"])[1]
        if not 0 < count <= _MOST_CLASSES:
            raise self._signatures.endpoint.unusable(
                f"it must tell from 1 to {_MOST_CLASSES:,} classes apart. "
                f"Received: {count}"
            )
        if self._card is None:
            return tf.constant([placeholder(n) for n in range(count)])
        try:
            card = json.loads(pathlib.Path(self._card).read_text("utf-8"))
            names = [str(name) for name in card["class_names"]]
        except _NO_CARD as error:
            raise ConfigurationError(
                f"{self._card} is no model card with `class_names`: {error}"
            ) from error
        if len(names) != count:
            raise ConfigurationError(
                f"{self._signatures.model} has {count} classes, and the card "
                f"{self._card} is of another model. "
                f"Received: {len(names)} class names"
            )
        return tf.constant(names)


def _joined(parts):
    """Arrays of other rows as one, padded as a server pads those of a batch:
    with zeros, and with empty strings."""
    if len(parts) == 1:
        return parts[0]
    count = sum(len(part) for part in parts)
    widest = np.max([part.shape[1:] for part in parts], axis=0).astype(int)
    first = parts[0]
    padding = b"" if first.dtype == object else 0
    joined = np.full((count, *widest), padding, first.dtype)
    row = 0
    for part in parts:
        place = [slice(row, row + len(part)), *map(slice, part.shape[1:])]
        joined[tuple(place)] = part
        row += len(part)
    return joined


def _sizes(info):
    """Sizes of the axes of an output; 0 where they differ."""
    return [max(dim.size, 0) for dim in info.tensor_shape.dim]

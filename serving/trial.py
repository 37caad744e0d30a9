"""Requests to an exported model, answered in a process of their own."""

import base64
import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import tensorflow as tf

_MOST_SECONDS = 600
_TEXT = "This is an example."
# Of the sizes that a signature leaves free.
_SIZE = 32


def example_request(signature):
    """Inputs of one row that a signature takes, of nobody's data.

    Args:
        signature: A `SignatureDef`.

    Returns:
        `{input name: TensorProto}`: a sentence, or a grey picture as the
        bytes of a file or as numbers.
    """
    return {
        name: tf.make_tensor_proto(_example(name, info))
        for name, info in signature.inputs.items()
    }


def _example(name, info):
    grey = np.full((_SIZE, _SIZE, 3), 128, np.uint8)
    if info.dtype == tf.string.as_datatype_enum:
        is_picture = name == "image"
        return [tf.io.encode_png(grey).numpy() if is_picture else _TEXT]
    sizes = [dim.size if dim.size > 0 else _SIZE for dim in _row(info)]
    return np.full([1, *sizes], 0.5, tf.as_dtype(info.dtype).as_numpy_dtype)


def _row(info):
    return list(info.tensor_shape.dim)[1:]


def run_requests(path, requests, python=None, values=False):
    """Answer requests by `session_run.py`, where nothing of ours is.

    Args:
        path: Folder of the SavedModel.
        requests: Pairs of a signature's name and `{input: TensorProto}`.
        python: The Python to use; by default the present one.
        values: Whether answers are values, and not their shapes.

    Returns:
        The versions there, the answers so far (see `session_run`), and what
        ended the process before it answered all, or "".
    """
    lines = [
        _line(signature, {x: _in_base64(y) for x, y in inputs.items()}, values)
        for signature, inputs in requests
    ]
    return _answers_of_program("session_run.py", path, lines, python)


def run_c_requests(path, requests, python=None):
    """Answer requests by the program `c_api`, through TensorFlow's C API.

    Args:
        path, python: As for `run_requests`.
        requests: Pairs of a signature's name and `{input: array}`.

    Returns:
        As `run_requests`; the answers are values.
    """
    lines = [
        _line(signature, {x: y.tolist() for x, y in inputs.items()})
        for signature, inputs in requests
    ]
    return _answers_of_program("c_api", path, lines, python)


def _answers_of_program(name, path, lines, python):
    program = str(pathlib.Path(__file__).with_name(name))
    if python and os.sep in python:
        # Not resolved: a link tells of which environment it is.
        python = os.path.abspath(python)
    try:
        process = subprocess.run(
            [python or sys.executable, "-I", program, os.path.abspath(path)],
            input="\n".join(lines),
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
            cwd="/",
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=_MOST_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return {}, [], f"there is no answer after {_MOST_SECONDS} s"
    except OSError as error:
        return {}, [], str(error)
    try:
        found = [json.loads(line) for line in process.stdout.splitlines()]
    except ValueError:
        return {}, [], f"prints no answer: {process.stdout[:80]!r}"
    versions, answers = (found[0], found[1:]) if found else ({}, [])
    ended = ""
    if process.returncode or not found or len(answers) < len(lines):
        told = process.stderr.strip().splitlines() or [""]
        ended = f"ends with status {process.returncode}: {told[-1][:300]}"
    return versions, answers, ended


def _line(signature, inputs, values=True):
    request = {"signature": signature, "inputs": inputs, "values": values}
    return json.dumps(request, default=_as_text)


def _in_base64(proto):
    return base64.b64encode(proto.SerializeToString()).decode()


def _as_text(content):
    return content.decode("utf-8", "surrogateescape")

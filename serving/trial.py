"""Requests to an exported model, answered in a process of their own."""

import base64
import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import tensorflow as tf

_PROGRAM = pathlib.Path(__file__).with_name("session_run.py")
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


def run_requests(path, requests, python=None):
    """Answer requests by `session_run.py`, where nothing of ours is.

    Args:
        path: Folder of the SavedModel.
        requests: Pairs of a signature's name and `{input: TensorProto}`.
        python: The Python to use; by default the present one.

    Returns:
        The versions there, the answers so far (see `session_run`), and what
        ended the process before it answered all, or "".
    """
    program = [python or sys.executable, "-I", str(_PROGRAM)]
    try:
        process = subprocess.run(
            [*program, os.path.abspath(path)],
            input="\n".join(_line(*request) for request in requests),
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
    lines = [json.loads(line) for line in process.stdout.splitlines()]
    versions, answers = (lines[0], lines[1:]) if lines else ({}, [])
    ended = ""
    if process.returncode:
        told = process.stderr.strip().splitlines() or [""]
        ended = f"ends with status {process.returncode}: {told[-1][:300]}"
    return versions, answers, ended


def _line(signature, inputs):
    encoded = {
        name: base64.b64encode(proto.SerializeToString()).decode()
        for name, proto in inputs.items()
    }
    return json.dumps({"signature": signature, "inputs": encoded})

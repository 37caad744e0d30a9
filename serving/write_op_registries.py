"""Write which ops the releases of TensorFlow and tensorflow-text have.

    pip install --no-deps --target WHEELS/2.12 tensorflow-cpu==2.12.1 \\
        tensorflow-text==2.12.1
    pip install --no-deps --target WHEELS/2.16 tensorflow-cpu==2.16.1
    pip install --no-deps --target WHEELS/2.17 tensorflow-cpu==2.17.0
    pip install --no-deps --target WHEELS/2.18 tensorflow-cpu==2.18.0
    pip install --no-deps --target WHEELS/2.19 tensorflow-cpu==2.19.0
    pip install --no-deps --target WHEELS/2.20 tensorflow-cpu==2.20.0 \\
        tensorflow-text==2.20.0
    pip install --no-deps --target WHEELS/2.21 tensorflow-cpu==2.21.0 \\
        tensorflow-text==2.21.1
    python serving/write_op_registries.py WHEELS

Python 3.11 has wheels of all of them. `serving/op_registry.py` reads what is
written and says which server has which. The registries are read through the C
API of each release, in a process of its own that imports no TensorFlow.
"""

import argparse
import base64
import ctypes
import itertools
import json
import pathlib
import subprocess
import sys

_FOLDER = pathlib.Path(__file__).parent / "op_registries"
# The oldest whose own ops are written; older ones are there for their text.
_OLDEST = (2, 16)


class _Buffer(ctypes.Structure):
    """`TF_Buffer` of the C API."""

    _fields_ = [
        ("data", ctypes.c_void_p),
        ("length", ctypes.c_size_t),
        ("deallocator", ctypes.c_void_p),
    ]

    def encoded(self):
        content = ctypes.string_at(self.data, self.length)
        return base64.b64encode(content).decode()


def read_registry(folder):
    """What the C API of the release in a folder says, as base64 of protos:
    all its ops, those after tensorflow-text was loaded, and an empty graph."""
    api = _c_api(folder / "tensorflow")
    status = api.TF_NewStatus()
    ops = api.TF_GetAllOpList().contents.encoded()
    for library in folder.glob("tensorflow_text/python/ops/*.so"):
        api.TF_LoadLibrary(str(library).encode(), status)
        message = api.TF_Message(status)
        if message:
            sys.exit(f"{library} can't be loaded: {message.decode()}")
    graph = _Buffer()
    api.TF_GraphToGraphDef(api.TF_NewGraph(), ctypes.byref(graph), status)
    return {
        "tensorflow": ops,
        "with_text": api.TF_GetAllOpList().contents.encoded(),
        "graph": graph.encoded(),
    }


def _c_api(folder):
    for name in ("framework", "cc"):
        path = folder / f"libtensorflow_{name}.so.2"
        api = ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)
    pointer, text = ctypes.c_void_p, ctypes.c_char_p
    for name, result, arguments in (
        ("TF_NewStatus", pointer, []),
        ("TF_Message", text, [pointer]),
        ("TF_LoadLibrary", pointer, [text, pointer]),
        ("TF_GetAllOpList", ctypes.POINTER(_Buffer), []),
        ("TF_NewGraph", pointer, []),
        ("TF_GraphToGraphDef", None, [pointer, pointer, pointer]),
    ):
        function = getattr(api, name)
        function.restype, function.argtypes = result, arguments
    return api


def decode_registry(found):
    """From what `read_registry` gave to `{library: {op: its line}}`, and the
    version of the release's graphs."""
    from tensorflow.core.framework import graph_pb2
    from tensorflow.core.framework import op_def_pb2

    def ops(name):
        content = base64.b64decode(found[name])
        return {
            op.name: line_of(op)
            for op in op_def_pb2.OpList.FromString(content).op
        }

    own, every = ops("tensorflow"), ops("with_text")
    text = {name: line for name, line in every.items() if name not in own}
    graph = graph_pb2.GraphDef.FromString(base64.b64decode(found["graph"]))
    libraries = {"tensorflow": own, "tensorflow_text": text}
    return libraries, graph.versions.producer


def line_of(op):
    """Since which version of graphs an op may no longer be in one, 0 for
    never, and its attributes, as JSON."""
    attributes = {attr.name: _attribute(attr) for attr in op.attr}
    return "\t".join(
        (
            str(op.deprecation.version),
            json.dumps(attributes, ensure_ascii=False, separators=(",", ":")),
        )
    )


def _attribute(attr):
    from google.protobuf import text_format
    from tensorflow.core.framework import types_pb2

    found = {}
    if attr.HasField("default_value"):
        found["default"] = text_format.MessageToString(
            attr.default_value, as_one_line=True
        )
    if attr.has_minimum:
        found["minimum"] = attr.minimum
    values = attr.allowed_values.list
    if values.type:
        names = map(types_pb2.DataType.Name, values.type)
        found["allowed"] = [name.removeprefix("DT_") for name in names]
    elif values.s:
        found["allowed"] = [value.decode() for value in values.s]
    return found


def write_table(path, ops_of_release, header):
    """Write one line for each op and each form that it had.

    Args:
        path: File to write.
        ops_of_release: `{release: {op: its line}}`, oldest first.
        header: Lines at the start of the file.
    """
    newest = list(ops_of_release)[-1]
    rows = []
    names = sorted(set().union(*ops_of_release.values()))
    for name in names:
        forms = [(r, ops.get(name)) for r, ops in ops_of_release.items()]
        for form, group in itertools.groupby(forms, key=lambda pair: pair[1]):
            releases = [release for release, _ in group]
            if form is not None:
                last = "" if releases[-1] == newest else releases[-1]
                rows.append(f"{name}\t{releases[0]}\t{last}\t{form}")
    path.write_text("\n".join((*header, *rows)) + "\n", "utf-8")


def main():
    """Write both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("wheels", type=pathlib.Path)
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(read_registry(arguments.wheels)))
        return
    tables = {"tensorflow": {}, "tensorflow_text": {}}
    headers = {
        name: ["# Written by serving/write_op_registries.py."]
        for name in tables
    }
    folders = {
        tuple(map(int, path.name.split("."))): path
        for path in arguments.wheels.iterdir()
    }
    for number, folder in sorted(folders.items()):
        command = [sys.executable, __file__, str(folder), "--one"]
        printed = subprocess.run(command, check=True, stdout=subprocess.PIPE)
        libraries, version = decode_registry(json.loads(printed.stdout))
        for name, ops in libraries.items():
            if ops and (name != "tensorflow" or number >= _OLDEST):
                tables[name][folder.name] = ops
                headers[name].append(f"# {folder.name}\t{version}")
    _FOLDER.mkdir(exist_ok=True)
    for name, ops_of_release in tables.items():
        write_table(_FOLDER / f"{name}.tsv", ops_of_release, headers[name])


if __name__ == "__main__":
    main()

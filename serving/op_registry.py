"""The ops that a release of TensorFlow Serving has inside.

Read from the registries of the releases; see `write_op_registries.py`.
"""

import dataclasses
import functools
import json
import pathlib

from google.protobuf import text_format
from tensorflow.core.framework import attr_value_pb2
from tensorflow.core.framework import types_pb2

_FOLDER = pathlib.Path(__file__).parent / "op_registries"

# By release of TensorFlow Serving: its TensorFlow and its tensorflow-text.
SERVERS = {
    "2.16": ("2.16", "2.12"),
    "2.17": ("2.17", "2.12"),
    "2.18": ("2.18", "2.12"),
    "2.19": ("2.19", "2.12"),
    "2.20": ("2.20", "2.20"),
}


@dataclasses.dataclass(frozen=True)
class Op:
    """One op of a release.

    Attributes:
        deprecated: From which version of graphs on none may hold it; 0 for
            none.
        attributes: `{name: {"default": ..., "minimum": ..., "allowed": ...}}`,
            each where there is one; the default is an `AttrValue` as text.
    """

    deprecated: int
    attributes: dict


class Registry:
    """The ops of a TensorFlow and of a tensorflow-text.

    Args:
        tensorflow, text: Their releases.
    """

    def __init__(self, tensorflow, text):
        self.tensorflow, self.text = tensorflow, text
        versions, forms = _table("tensorflow")
        self.graph_version = versions[tensorflow]
        self.ops = {
            **_ops_of(forms, tensorflow),
            **_ops_of(_table("tensorflow_text")[1], text),
        }

    def problem(self, node, producer):
        """What a server with these ops has against a node, "" for nothing.

        Args:
            node: A `NodeDef`.
            producer: Version of the graph that holds it.
        """
        op = self.ops.get(node.op)
        if op is None:
            return (
                f"is neither in TensorFlow {self.tensorflow} nor in "
                f"tensorflow-text {self.text}"
            )
        if 0 < op.deprecated <= producer:
            return f"is deprecated since graphs of version {op.deprecated}"
        for name, about in op.attributes.items():
            if name in node.attr:
                found = _not_allowed(node.attr[name], about)
                if found:
                    return f"can't have {name} {found}"
            elif "default" not in about:
                return f"needs the attribute {name}"
        for name, value in node.attr.items():
            # A server runs the op without an attribute that it does not know.
            unknown = name not in op.attributes and not name.startswith("_")
            if unknown and not is_default(node.op, name, value):
                return f"ignores {name}, which is {_written(value)}"
        return ""


@functools.cache
def registry_of_server(release):
    """The `Registry` of a key of `SERVERS`."""
    return Registry(*SERVERS[release])


def servers_with(node, producer):
    """The releases of TensorFlow Serving that have nothing against a node."""
    return [
        release
        for release in SERVERS
        if not registry_of_server(release).problem(node, producer)
    ]


def library_of(op):
    """`tensorflow` or `tensorflow_text` for an op that a release of it has,
    also one that no server has yet; None for any other."""
    for library in ("tensorflow", "tensorflow_text"):
        if op in _table(library)[1]:
            return library
    return None


def is_default(op, attribute, value):
    """Whether some release has this value as an attribute's default."""
    library = library_of(op)
    if library is None:
        return False
    for _, _, form in _table(library)[1][op]:
        text = form.attributes.get(attribute, {}).get("default")
        if text is not None:
            default = text_format.Parse(text, attr_value_pb2.AttrValue())
            if default == value:
                return True
    return False


@functools.cache
def _table(library):
    """`{release: version of its graphs}`, and
    `{op: [(first release, last release or None, Op)]}`."""
    versions, forms = {}, {}
    text = (_FOLDER / f"{library}.tsv").read_text("utf-8")
    for line in text.splitlines()[1:]:
        fields = line.removeprefix("# ").split("\t")
        if line.startswith("#"):
            versions[fields[0]] = int(fields[1])
        else:
            name, first, last, deprecated, attributes = fields
            form = Op(int(deprecated), json.loads(attributes))
            last = _number(last) if last else None
            forms.setdefault(name, []).append((_number(first), last, form))
    return versions, forms


def _ops_of(forms, release):
    number = _number(release)
    return {
        name: form
        for name, lines in forms.items()
        for first, last, form in lines
        if first <= number and (last is None or number <= last)
    }


def _number(release):
    return tuple(map(int, release.split(".")))


def _not_allowed(value, about):
    """The part of a value that is not allowed, "" for none."""
    kind = value.WhichOneof("value")
    if kind == "i" and value.i < about.get("minimum", value.i):
        return str(value.i)
    if "allowed" in about:
        for name in _names(value, kind):
            if name not in about["allowed"]:
                return name
    return ""


def _names(value, kind):
    """Types or strings of a value, as a registry writes them."""
    if kind == "list":
        types, strings = value.list.type, value.list.s
    else:
        types = [value.type] if kind == "type" else []
        strings = [value.s] if kind == "s" else []
    names = [types_pb2.DataType.Name(x).removeprefix("DT_") for x in types]
    return names + [x.decode("utf-8", "replace") for x in strings]


def _written(value):
    return text_format.MessageToString(value, as_one_line=True)

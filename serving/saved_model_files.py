"""The files of a SavedModel: whether all are there and whole."""

import pathlib

import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import saved_model_pb2


class SavedModelError(ValueError):
    """A folder is no SavedModel, or a broken one."""


def read_meta_graph(path):
    """The graph that a server loads, a `MetaGraphDef`.

    Args:
        path: Folder of the SavedModel.

    Raises:
        SavedModelError: There is none, or it can't be read.
    """
    file = pathlib.Path(path, "saved_model.pb")
    try:
        saved = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    except FileNotFoundError:
        raise SavedModelError(f"{file} is missing") from None
    except (OSError, DecodeError) as error:
        raise SavedModelError(
            f"{file} can't be read, it is cut off or broken: {error}"
        ) from error
    for meta_graph in saved.meta_graphs:
        if list(meta_graph.meta_info_def.tags) == ["serve"]:
            return meta_graph
    tags = [list(graph.meta_info_def.tags) for graph in saved.meta_graphs]
    raise SavedModelError(
        f"{file} must hold a graph with the tag serve. Received: tags={tags}"
    )


def variable_problems(path, meta_graph):
    """Files of variables that are missing or broken, as messages.

    Every value is read, which checks its sum.
    """
    nodes = meta_graph.graph_def.node
    prefix = pathlib.Path(path, "variables", "variables")
    index = prefix.with_suffix(".index")
    if not index.exists():
        if any(node.op == "VarHandleOp" for node in nodes):
            return [f"{index} is missing"]
        return []
    try:
        reader = tf.train.load_checkpoint(str(prefix))
        for name in reader.get_variable_to_shape_map():
            reader.get_tensor(name)
    # Its errors are those of Python, by the status of the reader.
    except (tf.errors.OpError, LookupError, RuntimeError, ValueError) as error:
        return [f"{prefix}.* can't be read: {first_line(error)}"]
    return []


def asset_problems(path, meta_graph):
    """Assets of a graph that are not there, as messages."""
    files = [
        pathlib.Path(path, "assets", asset.filename)
        for asset in meta_graph.asset_file_def
    ]
    return [f"{file} is missing" for file in files if not file.is_file()]


def first_line(error):
    """What an error says, on one line that is not too long."""
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:300]

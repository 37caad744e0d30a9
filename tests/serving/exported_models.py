"""Models that were exported, copies of them, and what they answer."""

import pathlib
import shutil

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from serving import session_run
from serving.contract import served_signatures
from serving.saved_model_files import read_meta_graph
from serving.trial import example_request

MODELS = pathlib.Path(__file__).parents[2] / "saved_models"
TRANSLATOR = MODELS / "bahdanau_translator_tiny_phrases" / "1"
CLASSIFIER = MODELS / "transformer_classifier_tiny_language_id" / "1"
READER = MODELS / "vision_transformer_tiny_digits" / "1"


def save_function(path, function, *specs):
    """A SavedModel with one function, and its graph."""
    module = tf.Module()
    module.run = tf.function(function, input_signature=specs)
    tf.saved_model.save(
        module, str(path), signatures={"serving_default": module.run}
    )
    return read_meta_graph(path).graph_def


def changed_copy(path, source, change):
    """A copy of a SavedModel whose `MetaGraphDef` a function changed."""
    shutil.copytree(source, path)
    file = path / "saved_model.pb"
    saved = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    change(saved.meta_graphs[0])
    file.write_bytes(saved.SerializeToString())
    return path


def first_node(graph, op):
    """The first node of the functions of a graph that has this op."""
    return next(
        node
        for function in graph.library.function
        for node in function.node_def
        if node.op == op
    )


def in_a_session(path):
    """`{signature: problems}` of a model in a session."""
    signatures = served_signatures(read_meta_graph(path))
    inputs = {
        name: {
            tensor: tf.make_ndarray(value)
            for tensor, value in example_request(signature).items()
        }
        for name, signature in signatures.items()
    }
    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        tf.compat.v1.saved_model.load(session, ["serve"], str(path))
        return {
            name: session_run.batch_problems(signature, inputs[name], session)
            for name, signature in signatures.items()
        }

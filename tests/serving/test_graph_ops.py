"""The ops of a graph against those that servers have."""

import tensorflow as tf
import tensorflow_text
from tensorflow.core.framework import attr_value_pb2
from tensorflow.core.framework import op_def_pb2

from serving import write_op_registries
from serving.graph_ops import op_problems
from serving.graph_ops import version_problems
from serving.op_registry import registry_of_server
from serving.op_registry import SERVERS
from serving.saved_model_files import read_meta_graph
from tests.serving.exported_models import changed_copy
from tests.serving.exported_models import first_node
from tests.serving.exported_models import READER
from tests.serving.exported_models import save_function


def test_functions_that_nobody_calls_do_not_count(tmp_path):
    def add(meta_graph):
        function = meta_graph.graph_def.library.function.add()
        function.signature.name = "of_training"
        function.node_def.add(name="x", op="MyGradient")

    path = changed_copy(tmp_path / "model", READER, add)
    assert op_problems(read_meta_graph(path).graph_def, "2.20") == []


def test_an_op_that_an_older_tensorflow_text_lacks(tmp_path):
    def trim(x):
        words = tensorflow_text.WhitespaceTokenizer().tokenize(x)
        trimmer = tensorflow_text.RoundRobinTrimmer(3)
        return {"y": trimmer.trim([words, words])[0].to_tensor()}

    graph = save_function(tmp_path, trim, tf.TensorSpec([None], tf.string))
    for release in ("2.16", "2.17", "2.18", "2.19"):
        assert op_problems(graph, release) == [
            f"TFText>RoundRobinTrim is neither in TensorFlow {release} nor in "
            "tensorflow-text 2.12; TensorFlow Serving 2.20 would do; else the "
            "tokenizers word, subword and word_piece of this project need only "
            "ops that every server has"
        ]
    assert op_problems(graph, "2.20") == []


def test_ops_and_types_that_an_older_tensorflow_lacks(tmp_path):
    def function(x):
        image = tf.raw_ops.DecodeWebP(contents=x)
        zero = tf.constant(0, tf.uint64)
        return {
            "image": image,
            "range": tf.raw_ops.Range(start=zero, limit=zero, delta=zero + 1),
        }

    graph = save_function(tmp_path, function, tf.TensorSpec([], tf.string))
    webp, numbers = op_problems(graph, "2.19")
    assert webp.startswith("DecodeWebP is neither in TensorFlow 2.19")
    assert numbers.startswith("Range can't have Tidx UINT64; TensorFlow Serv")
    assert op_problems(graph, "2.20") == []


def test_attributes_that_an_older_tensorflow_lacks(tmp_path):
    graph = read_meta_graph(READER).graph_def
    node = first_node(graph, "ScatterNd")
    node.attr["bad_indices_policy"].s = b""  # the default
    assert op_problems(graph, "2.17") == []
    node.attr["bad_indices_policy"].s = b"IGNORE"
    assert op_problems(graph, "2.18") == []
    (problem,) = op_problems(graph, "2.17")
    assert problem.startswith(
        'ScatterNd ignores bad_indices_policy, which is s: "IGNORE"; '
        "TensorFlow Serving 2.18, 2.19, 2.20 would do"
    )
    del node.attr["T"]
    (problem,) = op_problems(graph, "2.20")
    assert problem.startswith("ScatterNd needs the attribute T; no TensorFlow")


def test_a_graph_that_asks_for_a_later_version():
    graph = read_meta_graph(READER).graph_def
    graph.versions.min_consumer = 2200
    assert (
        "2129 at most, this one needs 2200"
        in (version_problems(graph, "2.19")[0])
    )
    assert version_problems(graph, "2.20") == []
    graph.versions.bad_consumers.append(2288)
    assert "not by that version" in version_problems(graph, "2.20")[0]


def test_registries_are_those_of_the_releases():
    # The versions of their graphs, as each release says.
    versions = [registry_of_server(x).graph_version for x in SERVERS]
    assert versions == [1766, 1882, 1994, 2129, 2288]
    last = registry_of_server("2.20").ops
    first = registry_of_server("2.16").ops
    assert {x for x in last.keys() - first.keys() if x[:6] == "TFText"} == {
        "TFText>RoundRobinGenerateMasks",
        "TFText>RoundRobinTrim",
        "TFText>Utf8Binarize",
    }
    assert "TfLiteSubgraphExecute" in first
    assert "TfLiteSubgraphExecute" not in last
    assert "DecodeJxl" not in last


def test_a_table_has_a_line_for_each_form_of_an_op(tmp_path):
    old, new = op_def_pb2.OpDef(name="A"), op_def_pb2.OpDef(name="A")
    kind = new.attr.add(name="T", type="type")
    kind.allowed_values.list.type.append(tf.float32.as_datatype_enum)
    kind.default_value.CopyFrom(attr_value_pb2.AttrValue(type=1))
    new.attr.add(name="N", type="int", has_minimum=True, minimum=2)
    new.deprecation.version = 7
    old, new = map(write_op_registries.line_of, (old, new))
    path = tmp_path / "ops.tsv"
    write_op_registries.write_table(
        path,
        {"1.9": {"A": old, "B": old}, "1.10": {"A": old}, "1.11": {"A": new}},
        ["# header"],
    )
    assert path.read_text("utf-8").splitlines() == [
        "# header",
        "A\t1.9\t1.10\t0\t{}",
        'A\t1.11\t\t7\t{"T":{"default":"type: DT_FLOAT","allowed":["FLOAT"]},'
        '"N":{"minimum":2}}',
        "B\t1.9\t1.9\t0\t{}",
    ]


def test_deprecated_ops_and_minima():
    registry = registry_of_server("2.20")
    graph = tf.compat.v1.GraphDef()
    node = graph.node.add(op="BatchNormWithGlobalNormalization")
    assert registry.problem(node, 9).startswith("is deprecated since graphs of")
    node = graph.node.add(op="AddN")
    node.attr["T"].type = 1
    node.attr["N"].i = 0
    assert registry.problem(node, 9) == "can't have N 0"
    node.attr["N"].i = 1
    assert registry.problem(node, 9) == ""

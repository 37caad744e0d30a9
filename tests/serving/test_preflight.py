"""Whether a model is told to load and answer in a server, or why not."""

import json
import shutil

import keras
import pytest
import tensorflow as tf

from serving import preflight
from serving.contract import batch_problems
from serving.contract import served_signatures
from serving.contract import signature_problems
from serving.saved_model_files import read_meta_graph
from serving.warmup import write_warmup_requests
from tests.serving.exported_models import changed_copy
from tests.serving.exported_models import CLASSIFIER
from tests.serving.exported_models import first_node
from tests.serving.exported_models import READER
from tests.serving.exported_models import save_function
from tests.serving.exported_models import TRANSLATOR


def test_a_good_model(capsys, tmp_path):
    for version in ("1", "9", "10"):
        shutil.copytree(TRANSLATOR, tmp_path / version)
    assert preflight.main([str(tmp_path), "--serving", "2.19.1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "ok    version: 10, the newest of [1, 9, 10]"
    assert "explain answers: 620 bytes" in lines[-2]
    assert lines[-1].endswith(
        "/10 will load and answer in TensorFlow Serving 2.19"
    )
    assert all(line.startswith("ok    ") for line in lines[:-1])


def test_a_model_with_a_custom_op(tmp_path, capsys):
    def rename(meta_graph):
        first_node(meta_graph.graph_def, "ScatterNd").op = "MyScatter"

    path = changed_copy(tmp_path / "model", READER, rename)
    assert preflight.main([str(path)]) == 1
    printed = capsys.readouterr().out
    assert "FAIL  ops: MyScatter is neither in TensorFlow 2.20" in printed
    # The truth: it does not load.
    assert "FAIL  loads in a session: ends with status 1" in printed
    assert "Op type not registered 'MyScatter'" in printed
    assert "will not do in TensorFlow Serving 2.20: 2 of 10" in printed


@pytest.mark.parametrize("op", ["_XlaMustCompile", "XlaDynamicUpdateSlice"])
def test_xla_is_refused(op, tmp_path, capsys):
    double = tf.function(lambda x: x + x, jit_compile=True)

    def function(x):
        if op == "_XlaMustCompile":
            return {"y": double(x)}
        return {"y": keras.ops.slice_update(x, [0], tf.ones(2))}

    save_function(tmp_path, function, tf.TensorSpec([4]))
    report = preflight.Report()
    preflight.check_graph(tmp_path, read_meta_graph(tmp_path), "2.20", report)
    assert report.num_failed == 1
    assert f"FAIL  no XLA: {op}: export" in capsys.readouterr().out


def test_signatures_that_are_not_of_the_zoo():
    signatures = served_signatures(read_meta_graph(TRANSLATOR))
    assert set(signatures) == {"explain", "serving_default"}
    assert signature_problems(signatures) == batch_problems(signatures) == []
    explain = signatures["explain"]
    explain.outputs["score"].dtype = tf.int32.as_datatype_enum
    del explain.outputs["truncated"]
    explain.inputs["more"].CopyFrom(explain.inputs["text"])
    explain.inputs["more"].tensor_shape.dim[0].size = 1
    assert signature_problems(signatures) == [
        "explain: the input more is no input",
        "explain: the output truncated is missing",
        "explain: score must be float32 with 1 axes. Received: int32 [None]",
    ]
    assert batch_problems(signatures) == [
        "explain: the first axis of more must be free, the batch. "
        "Received: string [1]"
    ]
    assert signature_problems({"serving_default": signatures["explain"]})
    assert "signatures=explain" in signature_problems({"explain": explain})[0]


def _check(check, path, capsys):
    """What a check prints and gives."""
    signatures = served_signatures(read_meta_graph(path))
    given = check(path, signatures, preflight.Report())
    return capsys.readouterr().out, given


def test_warmup_requests_are_read(tmp_path, capsys):
    path = tmp_path / "model"
    shutil.copytree(CLASSIFIER, path)
    printed, given = _check(preflight.check_warmup, path, capsys)
    assert printed == "ok    warm-up: 3 requests\n"
    assert {name for name, _ in given} == {
        "embed",
        "explain",
        "serving_default",
    }
    function = tf.function(
        lambda text, more: text,
        input_signature=[
            tf.TensorSpec([None], tf.string, "text"),
            tf.TensorSpec([], name="more"),
        ],
    )
    number = tf.function(
        lambda text: text, input_signature=[tf.TensorSpec([], name="text")]
    )
    write_warmup_requests(
        path,
        {"explain": function, "embed": number, "beam": number},
        {"text": 1.0, "more": 2.0},
    )
    printed, given = _check(preflight.check_warmup, path, capsys)
    assert printed.splitlines() == [
        "FAIL  warm-up: record 1: explain takes text. Received: more, text",
        "FAIL  warm-up: record 2: text must be string [None]. "
        "Received: float32 []",
        "FAIL  warm-up: record 3: there is no signature beam",
    ]
    assert given == []
    file = path / "assets.extra" / "tf_serving_warmup_requests"
    file.write_bytes(file.read_bytes()[:-3])
    printed, _ = _check(preflight.check_warmup, path, capsys)
    assert "record 3 can't be read" in printed
    with tf.io.TFRecordWriter(str(file)) as writer:
        writer.write(b"")
    printed, _ = _check(preflight.check_warmup, path, capsys)
    assert "record 1 must hold a predict_log. Received: None" in printed
    file.unlink()
    printed, _ = _check(preflight.check_warmup, path, capsys)
    assert printed.startswith("ok    warm-up: there are none")


def test_the_card_is_of_the_model(tmp_path, capsys):
    path = tmp_path / "model"
    shutil.copytree(TRANSLATOR, path)
    file = path / "model_card.json"
    card = json.loads(file.read_text("utf-8"))
    card["longest_answer_bytes"] = {"explain": 5_000_000}
    file.write_text(json.dumps(card))
    printed, _ = _check(preflight.check_card, path, capsys)
    assert printed.startswith(
        "ok    card: 620 bytes in explain's example; 5,00"
    )
    assert "one answer of `explain` may have 5.0 MB" in printed
    card["signatures"]["explain"]["outputs"]["score"] = "float32 [None, 2]"
    card["longest_answer_bytes"] = {"explain": 2**31}
    file.write_text(json.dumps(card))
    printed, _ = _check(preflight.check_card, path, capsys)
    assert printed.count("FAIL  card: ") == 2
    assert "less than 2 GiB" in printed
    assert "describes the signature explain in another way" in printed
    file.write_text("{")
    printed, _ = _check(preflight.check_card, path, capsys)
    assert "model_card.json can't be read" in printed
    file.unlink()
    assert "needs none" in _check(preflight.check_card, path, capsys)[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "required: saved_model"),
        (["nowhere"], "there is no folder nowhere"),
        ([str(READER), "--serving", "2.21"], "2.20. Received: 2.21"),
        ([str(READER), "--what"], "unrecognized arguments"),
    ],
)
def test_wrong_usage(arguments, message, capsys):
    with pytest.raises(SystemExit) as ended:
        preflight.main(arguments)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err

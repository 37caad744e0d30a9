"""Folders of exported models with something missing or broken."""

import shutil

import pytest
import tensorflow as tf

from serving import preflight
from serving.saved_model_files import asset_problems
from serving.saved_model_files import read_meta_graph
from serving.saved_model_files import SavedModelError
from serving.saved_model_files import variable_problems
from tests.serving.exported_models import in_a_session
from tests.serving.exported_models import READER


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "saved_model.pb is missing"),
        (b"", r"with the tag serve. Received: tags=\[\]"),
        (b"half", "can't be read, it is cut off or broken"),
    ],
)
def test_a_folder_without_a_graph(content, message, tmp_path, capsys):
    if content is not None:
        whole = (READER / "saved_model.pb").read_bytes()
        cut = whole[: len(whole) // 2] if content else content
        (tmp_path / "saved_model.pb").write_bytes(cut)
    with pytest.raises(SavedModelError, match=message):
        read_meta_graph(tmp_path)
    assert preflight.main([str(tmp_path)]) == 1
    assert "1 of 1 checks failed" in capsys.readouterr().out


@pytest.mark.parametrize("broken", ["index", "data-00000-of-00001", "half"])
def test_variables_that_are_not_there(broken, tmp_path):
    path = tmp_path / "model"
    shutil.copytree(READER, path)
    meta_graph = read_meta_graph(path)
    assert variable_problems(path, meta_graph) == []
    data = path / "variables" / "variables.data-00000-of-00001"
    if broken == "half":
        data.write_bytes(data.read_bytes()[:1000])
    else:
        (path / "variables" / f"variables.{broken}").unlink()
    (problem,) = variable_problems(path, meta_graph)
    assert "variables" in problem
    with pytest.raises((tf.errors.OpError, ValueError)):
        in_a_session(path)


def test_an_asset_that_is_not_there(tmp_path):
    (tmp_path / "words.txt").write_text("a\nb\n")
    initializer = tf.lookup.TextFileInitializer(
        str(tmp_path / "words.txt"),
        *(tf.string, tf.lookup.TextFileIndex.WHOLE_LINE),
        *(tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER),
    )
    module = tf.Module()
    module.table = tf.lookup.StaticHashTable(initializer, -1)
    module.run = tf.function(
        lambda x: {"y": module.table.lookup(x)},
        input_signature=[tf.TensorSpec([None], tf.string)],
    )
    path = tmp_path / "model"
    tf.saved_model.save(module, str(path), signatures=module.run)
    assert asset_problems(path, read_meta_graph(path)) == []
    (path / "assets" / "words.txt").unlink()
    (problem,) = asset_problems(path, read_meta_graph(path))
    assert problem.endswith("words.txt is missing")

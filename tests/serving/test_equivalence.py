"""Whether differences between runtimes are seen, and told."""

import json
import shutil

import numpy as np
import pytest
import tensorflow as tf

from serving import equivalence
from serving.comparison import Comparison
from serving.row_differences import ATTENTION
from serving.row_differences import Differences
from serving.row_differences import LOG_PROBABILITIES
from serving.row_differences import PROBABILITIES
from serving.row_differences import TEXTS
from serving.runtimes import NoAnswerError
from serving.trial_rows import data_rows
from tests.serving.exported_models import READER
from tests.serving.exported_models import save_function
from tests.serving.exported_models import TRANSLATOR

_EXPECTED = {
    "label": np.array([b"a"], object),
    "tokens": np.array([[b"a", b"b"]], object),
    "valid": np.array([True]),
    "probabilities": np.array([[0.25, 0.75]], "float32"),
    "score": np.array([-2.0], "float32"),
    "scores": np.array([[-1e-4, -np.inf]], "float32"),
    "attention": np.full((1, 1, 2, 2), 0.5, "float32"),
}


def compared(**changed):
    differences = Differences()
    differences.add("explain, row 3", _EXPECTED, {**_EXPECTED, **changed})
    return differences


def test_what_is_the_same_but_for_padding():
    found = compared(
        tokens=np.array([[b"a", b"b", b""]], object),
        attention=np.pad(
            _EXPECTED["attention"], [(0, 0), (0, 0)] + [(0, 3)] * 2
        ),
        score=np.array([-2.00019], "float32"),
        scores=np.array([[-1.009e-4, -np.inf]], "float32"),
        probabilities=np.array([[0.250009, 0.75]], "float32"),
    )
    assert (found.num_rows, found.num_different, found.first) == (1, 0, "")
    assert found.largest == {
        TEXTS: 0,
        PROBABILITIES: pytest.approx(9e-6, rel=1e-2),
        LOG_PROBABILITIES: pytest.approx(9.5e-5, rel=1e-2),
        ATTENTION: 0,
    }


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"label": [b"b"]}, "label: expected 'a', received 'b'"),
        ({"valid": np.array([False])}, "valid: expected True, received False"),
        (
            {"tokens": [[b"a", b"c"]]},
            "tokens: at [1] expected 'b', received 'c'",
        ),
        (
            {"tokens": [[b"a"]]},
            "tokens: expected (2,) [b'a', b'b'], received (1",
        ),
        (
            {"tokens": [[b"a", b"b", b"c"]]},
            "received (3,) [b'a', b'b', b'c']",
        ),
        (
            {"probabilities": np.array([[0.25, 0.75002]], "float32")},
            "probabilities: at [1] expected 0.75, received 0.75002",
        ),
        (
            {"probabilities": np.array([[0.25, np.nan]], "float32")},
            "probabilities: at [1] expected 0.75, received nan",
        ),
        (
            {"score": np.array([-2.0003], "float32")},
            "score: expected -2.0, received -2.0003",
        ),
        (
            {"scores": np.array([[-1.02e-4, -np.inf]], "float32")},
            "scores: at [0] expected -1e-04, received -0.000102",
        ),
        (
            {"scores": np.array([[-1e-4, -3.0]], "float32")},
            "scores: at [1] expected -inf, received -3.0",
        ),
        (
            {"attention": np.full((1, 1, 2, 3), 0.5, "float32")},
            "[[[0.5, 0.5], [0.5, 0.5]]], received (1, 2, 3) [[[0.5, 0.5, ",
        ),
        ({"more": np.zeros(1)}, "more: not expected"),
    ],
)
def test_what_is_not(changed, told):
    arrays = {
        name: values
        if isinstance(values, np.ndarray)
        else np.array(values, object)
        for name, values in changed.items()
    }
    found = compared(**arrays)
    assert found.num_different == 1
    assert found.first.startswith("explain, row 3: ")
    assert told in found.first


def test_the_first_row_that_differs_is_told():
    differences = Differences()
    for row, label in enumerate([b"a", b"b", b"c"]):
        received = {**_EXPECTED, "label": np.array([label], object)}
        del received["valid"]
        differences.add(f"row {row}", _EXPECTED, received)
    assert (differences.num_rows, differences.num_different) == (3, 3)
    assert differences.first == "row 0: valid: missing"


def table(printed):
    """The lines of the table, as cells; what follows."""
    lines = printed.splitlines()
    rows = [x.strip("| ").split(" | ") for x in lines if x.startswith("|")]
    return rows[2:], lines[2 + len(rows[2:]) :]


def test_a_fitted_translator(tiny_run, tiny_saved_model, capsys):
    status = equivalence.main(
        [str(tiny_saved_model), "--run", str(tiny_run), "--rows", "6"]
    )
    rows, rest = table(capsys.readouterr().out)
    assert (status, rest) == (0, [])
    assert [row[0] for row in rows] == ["tiny/1"] * 5
    # Three signatures, of 6 sentences and 6 odd ones, then 2 in batches again,
    # or filled up to 16 in two batches.
    assert [row[2] for row in rows] == ["36", "42", "96", "42", "42"]
    assert all(row[3] == "same" and row[-1] == "ok" for row in rows)


@pytest.mark.parametrize(
    "kind", ["text", pytest.param("encoder", marks=pytest.mark.long)]
)
def test_inputs_of_its_own(kind, request, tmp_path, capsys):
    run = request.getfixturevalue(f"{kind}_run")
    path = request.getfixturevalue(f"{kind}_saved_model").parent
    file = tmp_path / "texts.txt"
    file.write_text("a fine film\nnobody knows why, and a long one\n")
    status = equivalence.main(
        [str(path), "--inputs", str(file), "--run", str(run.directory)]
    )
    rows, rest = table(capsys.readouterr().out)
    assert (status, rest, len(rows)) == (0, [], 5)
    assert all(row[3] == "same" * (kind == "text") for row in rows)


def test_files_of_pictures(tmp_path, capsys):
    rows = data_rows(READER, 3)
    for number, row in enumerate(rows):
        (tmp_path / f"{number}.png").write_bytes(row)
    found, _ = equivalence.rows_of(READER, 200, [str(tmp_path)])
    assert found[:3].tolist() == rows.tolist()
    (tmp_path / "none").mkdir()
    arguments = [str(READER), "--inputs", str(tmp_path / "none")]
    assert equivalence.main(arguments) == 2
    assert "There is nothing in the inputs" in capsys.readouterr().err
    with pytest.raises(SystemExit) as stop:
        equivalence.main([str(READER), "--rows", "0"])
    assert stop.value.code == 2


def test_a_batch_of_another_size_differs():
    row = {"label": _EXPECTED["label"], "score": _EXPECTED["score"]}
    batch = {x: np.repeat(y, 2) for x, y in row.items()}
    for labels in (batch["label"][:1], np.repeat(batch["label"], 2), b"a"):
        differences = Differences()
        answer = {**batch, "label": np.array(labels, object)}
        differences.add_batch(["a", "b"], [row, row], answer)
        assert differences.num_different == 2
        assert "label: expected a batch of 2" in differences.first
    differences = Differences()
    differences.add_batch(["a", "b"], [row, row], batch)
    assert differences.first == ""


def test_pictures_and_pixels_and_a_python_that_is_not_there(capsys):
    arguments = [str(READER), "--rows", "5", "--python", "no-python"]
    assert equivalence.main(arguments) == 1
    rows, (wrong,) = table(capsys.readouterr().out)
    *right, missing, last = rows
    assert [row[1].split()[0] for row in rows] == [
        *("SavedModel", "SavedModel", "session", "session", "C"),
    ]
    assert all(float(row[4]) < 1e-5 for row in [*right, last])
    assert missing[-1] == "FAIL"
    assert wrong.startswith("FAIL vision_transformer_tiny_digits/1, session: ")
    assert "No such file or directory: 'no-python'" in wrong


@pytest.fixture
def comparison():
    rows, num_odd = equivalence.rows_of(READER, 3)
    return Comparison(READER, rows, num_odd)


def test_a_runtime_that_differs(comparison, monkeypatch, capsys):
    _, _, saved, batches = next(iter(comparison.ways()))

    def wrong(requests):
        version, answers = saved(requests)
        answers[0]["label"][1] = b"another"
        answers[0]["probabilities"][2, 3] += 0.01
        return version, answers

    def no_answer(requests):
        raise NoAnswerError("explain: it is broken")

    def ways(self, pythons):
        yield "wrong", "batches", wrong, batches
        yield "broken", "batches", no_answer, batches
        yield "right", "batches", saved, batches

    monkeypatch.setattr(Comparison, "ways", ways)
    assert equivalence.main([str(READER), "--rows", "3"]) == 1
    rows, rest = table(capsys.readouterr().out)
    assert [row[-1] for row in rows] == ["FAIL", "FAIL", "ok"]
    assert "differ" in rows[0] and float(rows[0][4]) == pytest.approx(0.01)
    first, second = rest
    assert ", batches: 2 of " in first
    assert "label: expected '" in first and "received 'another'" in first
    assert second.endswith("/1, broken: explain: it is broken")


def of_another_kind(path):
    save_function(path, lambda x: {"y": x}, tf.TensorSpec([None], tf.string))
    return path


@pytest.mark.parametrize(
    "name", ["no model", "another kind", "no card", "another run"]
)
def test_wrong_commands(name, tmp_path, text_run, capsys):
    path, more, told = tmp_path, [], "There is no SavedModel in"
    if name == "another kind":
        path, told = of_another_kind(tmp_path), "must take text or image"
    if name == "no card":
        path = shutil.copytree(READER, tmp_path / "model")
        (path / "model_card.json").write_text(json.dumps({"name": "a"}))
        told = "does not say which data the model is of"
    if name == "another run":
        path, more = TRANSLATOR, ["--run", str(text_run.directory)]
        told = "None of the models is of the run"
    assert equivalence.main([str(path), *more]) == 2
    assert told in capsys.readouterr().err

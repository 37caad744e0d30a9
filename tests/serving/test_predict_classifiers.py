"""`train.py predict` with classifiers."""

import pathlib

import pytest

import serving
import train
from serving.terminal import show
from tests.serving.classifier_runs import encoded
from tests.serving.classifier_runs import pixels


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(capsys, *argv):
    assert train.main(["predict", *map(str, argv)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("train.py: ")
    assert len(error.splitlines()) == 1
    return error


def test_a_sentence_and_a_file_of_lines(text_saved_model, capsys):
    pathlib.Path("lines.txt").write_text("fine music\n\ndull\n", "utf-8")
    command = ["predict", str(text_saved_model), "a fine film", "lines.txt"]
    assert train.main([*command, "--picture", "map.png"]) == 0
    printed = capsys.readouterr().out
    texts = ["a fine film", "fine music", "", "dull"]
    answers = serving.load(text_saved_model).explain(texts)
    for text, answer in zip(texts, answers):
        assert f"{text}\n-> {answer.label}\n" in printed
        assert f"{answer.probability:.1%} █" in printed
    assert "[START] ▁a ▁fine ▁film [END]" in printed
    assert printed.count("-> ") == 4
    assert pathlib.Path("map.png").read_bytes().startswith(b"\x89PNG\r\n")


def test_pictures_and_a_folder_of_them(image_saved_model, capsys):
    folder = pathlib.Path("more")
    (folder / "deeper").mkdir(parents=True)
    paths = [pathlib.Path("one.png"), folder / "a.jpg", folder / "b.txt"]
    paths[0].write_bytes(encoded(pixels(0, 20, 30)))
    paths[1].write_bytes(encoded(pixels(1, 20, 30), "JPEG"))
    paths[2].write_text("no picture")
    command = ["predict", str(image_saved_model), "one.png", "more"]
    assert train.main([*command, "--picture", "map.png"]) == 0
    blocks = capsys.readouterr().out.strip("\n").split("\n\n")
    assert len(blocks) == 3
    model = serving.load(image_saved_model)
    for path, block in zip(paths, blocks):
        (answer,) = model.explain([path])
        assert block.rstrip() == show(path, answer).rstrip()
    assert blocks[2].endswith("can't be read as PNG or JPEG")
    assert pathlib.Path("map.png").read_bytes().startswith(b"\x89PNG\r\n")


def test_answers_into_a_file(image_saved_model, capsys):
    pathlib.Path("one.png").write_bytes(encoded(pixels(0, 20, 30)))
    pathlib.Path("two.png").write_text("no picture")
    command = ["predict", str(image_saved_model), "one.png", "two.png"]
    assert train.main([*command, "--output", "out.tsv"]) == 0
    assert capsys.readouterr().out == ""
    (answer,) = serving.load(image_saved_model).explain(["one.png"])
    names, one, two = pathlib.Path("out.tsv").read_text().splitlines()
    assert names == "path\tlabel\tprobability"
    path, label, probability = one.split("\t")
    assert (path, label) == ("one.png", answer.label)
    assert float(probability) == pytest.approx(answer.probability, abs=1e-5)
    assert two == "two.png\t\t0.000000"


def test_what_cannot_be_done_is_one_message(
    image_saved_model, text_saved_model, encoder_saved_model, capsys
):
    assert "none.png" in refused(capsys, image_saved_model, "none.png")
    pathlib.Path("latin.txt").write_bytes("été".encode("latin-1"))
    assert "latin.txt" in refused(capsys, text_saved_model, "latin.txt")
    message = refused(
        capsys, encoder_saved_model, "a fine film", "--picture", "map.png"
    )
    assert "shows no attention" in message
    pathlib.Path("bad.png").write_text("no picture")
    message = refused(
        capsys, image_saved_model, "bad.png", "--picture", "map.png"
    )
    assert "can't be read" in message
    assert not pathlib.Path("map.png").exists()


def test_a_sentence_that_is_no_utf_8(text_saved_model, capsys):
    # A byte of an argument that is no UTF-8 comes as a lone surrogate.
    message = refused(capsys, text_saved_model, "caf\udce9")
    assert "must be UTF-8" in message

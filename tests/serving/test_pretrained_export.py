"""Folders of Hugging Face, used and exported without any fit."""

import json
import pathlib
import shutil

import numpy as np
import pytest
import tensorflow as tf

import serving
import train
import zoo
from preprocessing import load_pretrained_preprocessor

BERT = pathlib.Path(__file__).parents[1] / "zoo" / "golden" / "bert"
TEXTS = ["red film", "blue film", "red red"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A BERT without a head for classes, with a tokenizer."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "encoder"
    shutil.copytree(BERT, path)
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words = ["red", "blue", "film", *map(str, range(29))]
    (path / "vocab.txt").write_text("\n".join([*special, *words]) + "\n")
    (path / "tokenizer_config.json").write_text('{"do_lower_case": true}')
    return path


def _vectors(folder):
    ids = load_pretrained_preprocessor(folder).encode(tf.constant(TEXTS))
    model = zoo.load_pretrained(folder)
    return model.sentence_embeddings({"tokens": ids.to_tensor()}).numpy()


def test_an_encoder_is_exported_and_embeds(folder, capsys):
    options = ["--to", "models", "--licence", "MIT"]
    assert train.main(["export", str(folder), *options]) == 0
    assert capsys.readouterr().out.strip() == "models/1"
    card = json.loads(pathlib.Path("models/1/model_card.json").read_text())
    assert card["name"] == "encoder"
    assert card["licence"] == "MIT"
    assert list(card["signatures"]) == ["serving_default"]
    assert str(folder) not in json.dumps(card)
    expected = _vectors(folder)
    for path in (folder, "models"):
        found = serving.load(path).embed(TEXTS)
        np.testing.assert_allclose(found, expected, atol=1e-5)
    assert train.main(["predict", "models", *TEXTS]) == 0
    blocks = capsys.readouterr().out.strip("\n").split("\n\n")
    assert [block.splitlines()[0] for block in blocks] == TEXTS
    cosines = expected @ expected.T
    nearest = 1 + int(cosines[0, 2] > cosines[0, 1])
    assert blocks[0].splitlines()[1] == (
        f"{cosines[0, nearest]:7.3f}  {TEXTS[nearest]}"
    )
    assert train.main(["predict", "models", *TEXTS, "--output", "o.tsv"]) == 0
    names, *rows = pathlib.Path("o.tsv").read_text().splitlines()
    assert names == "text\tembedding"
    text, numbers = rows[2].split("\t")
    assert text == TEXTS[2]
    found = np.array(numbers.split(), float)
    np.testing.assert_allclose(found, expected[2], atol=1e-5)


@pytest.mark.parametrize(
    ("modules", "pooling", "message"),
    [
        (
            ["Transformer", "Pooling"],
            {"pooling_mode_max_tokens": True},
            "Received: pooling_mode_max_tokens",
        ),
        (["Transformer", "Dense"], {}, "Received: type=Transformer, Dense"),
    ],
)
def test_another_kind_of_embedding_is_refused(
    modules, pooling, message, folder, capsys
):
    listed = [
        {"type": f"sentence_transformers.models.{kind}", "path": kind}
        for kind in modules
    ]
    (folder / "modules.json").write_text(json.dumps(listed))
    (folder / "Pooling").mkdir()
    (folder / "Pooling" / "config.json").write_text(json.dumps(pooling))
    assert train.main(["export", str(folder)]) == 2
    assert message in capsys.readouterr().err
    assert not pathlib.Path("saved_models").exists()


def test_a_folder_without_weights_is_one_message(folder, capsys):
    (folder / "model.safetensors").unlink()
    assert train.main(["predict", str(folder), "red"]) == 2
    assert "model.safetensors" in capsys.readouterr().err

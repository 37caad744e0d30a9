"""Fits that start from the weights of others."""

import json
import pathlib
import shutil

import numpy as np
import pytest

import zoo
from training import fit_run as module
from training.configuration import config_first
from training.configuration import ConfigurationError
from training.configuration import fit_parser
from training.configuration import resolve
from training.fit_run import fit_run
from training.run import Run
from training.start import find_start

BERT = pathlib.Path(__file__).parents[1] / "zoo" / "golden" / "bert"
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


@pytest.fixture
def folder(tmp_path):
    """A folder of Hugging Face, with the classes `bad` and `good`."""
    path = tmp_path / "pretrained"
    shutil.copytree(BERT, path)
    config = json.loads((path / "config.json").read_text("utf-8"))
    words = ["good", "bad", *map(str, range(config["vocab_size"]))]
    vocabulary = [*SPECIAL, *words][: config["vocab_size"]]
    (path / "vocab.txt").write_text("\n".join(vocabulary) + "\n", "utf-8")
    (path / "tokenizer_config.json").write_text('{"do_lower_case": true}')
    return path


@pytest.fixture
def data(tmp_path):
    rows = [f"{n % 7} {('good', 'bad')[n % 2]}" for n in range(40)]
    lines = [f"{row},{row.split()[1]}" for row in rows]
    path = tmp_path / "texts.csv"
    path.write_text("\n".join(["text,label", *lines]), "utf-8")
    return path


@pytest.fixture
def prepare(tmp_path, data, monkeypatch):
    """All but the loop over epochs; gives the model as it starts."""
    found = {}

    def fit(
        objective, recipe, batches, evaluate, checkpoints, watch=(), keep=None
    ):
        found["model"] = objective.model
        return [{"accuracy": 1.0, "seconds": 1.0}]

    monkeypatch.setattr(module, "fit", fit)

    def run(*argv, name="run"):
        argv = ["--dataset", f"csv:{data}", *map(str, argv)]
        configuration = resolve(fit_parser(argv).parse_args(config_first(argv)))
        configuration = find_start(configuration).resolve()
        started = Run.start(tmp_path / name, configuration)
        fit_run(configuration, started)
        return found["model"], started

    return run


def test_pretrained_weights(prepare, folder):
    arguments = (
        *("--preset", "transformer_classifier_base"),
        *("--init_from", folder, "--max_sequence_length", 9),
        *("--model.dropout", 0.25),
    )
    model, run = prepare(*arguments)
    expected = zoo.load_pretrained(folder, num_classes=2)
    config = run.config
    for name in ("num_layers", "hidden_dim", "num_heads", "pooler"):
        assert config["model"][name] == getattr(expected, name)
    assert config["model"]["dropout"] == model.dropout == 0.25
    assert config["tokenizer"] == "word_piece"
    assert config["max_sequence_length"] == 9
    for own, other in zip(model.encoder.weights, expected.encoder.weights):
        np.testing.assert_array_equal(own.numpy(), other.numpy())
    assert model.head.kernel.shape == (expected.hidden_dim, 2)
    preprocessor = run.load_preprocessor()
    # [CLS] good [SEP]
    assert preprocessor.encode(["good"]).to_list() == [[2, 5, 3]]
    assert preprocessor.classes.names == ("bad", "good")
    # The same again is the same run.
    prepare(*arguments)


@pytest.mark.parametrize("head", ["BertForTokenClassification", "BertModel"])
def test_a_folder_with_another_head(prepare, folder, head):
    path = folder / "config.json"
    config = json.loads(path.read_text("utf-8"))
    # Kinds of tokens, which are called as the classes are.
    labels = {"0": "bad", "1": "good"}
    config |= {"architectures": [head], "id2label": labels}
    path.write_text(json.dumps(config), "utf-8")
    model, run = prepare(
        *("--preset", "transformer_classifier_base"),
        *("--init_from", folder, "--max_sequence_length", 9),
    )
    assert model.head.kernel.shape == (model.hidden_dim, 2)
    assert "embedding_pooling" not in run.config["model"]


def test_a_folder_of_another_family(prepare, folder):
    with pytest.raises(
        ConfigurationError, match="holds a TransformerClassifier"
    ):
        prepare("--preset", "vision_transformer_base", "--init_from", folder)


def test_a_folder_that_cannot_be_read(prepare, folder):
    (folder / "vocab.txt").unlink()
    with pytest.raises(ConfigurationError, match=r"vocab\.txt"):
        prepare(
            "--preset", "transformer_classifier_base", "--init_from", folder
        )


def test_another_architecture_than_the_weights(prepare, folder):
    with pytest.raises(ConfigurationError, match=r"num_layers|encoder"):
        prepare(
            *("--preset", "transformer_classifier_base"),
            *("--init_from", folder, "--model.num_layers", 7),
        )

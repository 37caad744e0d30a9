"""Fits that start from the weights of others."""

import json
import pathlib
import shutil

import numpy as np
import pytest

import zoo
from tests.serving import classifier_runs
from training import fit_run as module
from training.configuration import ConfigurationError
from training.fit_run import fit_run
from training.run import Run
from training.start import configure

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

    def fit(objective, recipe, batches, evaluate, checkpoints, **options):
        found["model"] = objective.model
        return [{"accuracy": 1.0, "seconds": 1.0}]

    monkeypatch.setattr(module, "fit", fit)

    def run(*argv, name="run"):
        argv = ["--dataset", f"csv:{data}", *map(str, argv)]
        _, configuration = configure(argv)
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


@pytest.mark.parametrize("wrong", ["vision_transformer_base", "bahdanau"])
def test_a_folder_of_another_family(wrong, prepare, folder):
    options = {"bahdanau": ["--model.readout_dim", "8"]}.get(wrong, [])
    preset = {"bahdanau": "bahdanau_translator_tiny"}.get(wrong, wrong)
    with pytest.raises(ConfigurationError) as error:
        prepare("--preset", preset, "--init_from", folder, *options)
    task = zoo.get_preset(preset).model.task
    assert "holds a TransformerClassifier, for text_class" in str(error.value)
    assert f"for {task}" in str(error.value)


def test_a_folder_that_cannot_be_read(prepare, folder):
    (folder / "vocab.txt").unlink()
    with pytest.raises(ConfigurationError, match=r"vocab\.txt"):
        prepare(
            "--preset", "transformer_classifier_base", "--init_from", folder
        )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--model.num_layers", 7], r"model\.num_layers.* is 2.*_layers=7"),
        # The default of the preset, too.
        (["--model.num_layers", 12], r"model\.num_layers=12"),
        (["--lowercase", "false"], "`lowercase` .*is True.*lowercase=False"),
        (["--tokenizer", "word"], "`tokenizer` .*tokenizer=word"),
        (["--vocabulary_size", 99], "vocabulary_size=99"),
        (["--max_sequence_length", 9999], "max_sequence_length=9999"),
    ],
)
def test_what_the_weights_do_not_allow_is_refused(
    options, message, prepare, folder
):
    with pytest.raises(ConfigurationError, match=message):
        prepare(
            *("--preset", "transformer_classifier_base"),
            *("--init_from", folder, *options),
        )


def test_what_was_asked_for_wins_even_if_it_is_the_default(folder, tmp_path):
    path = folder / "config.json"
    config = json.loads(path.read_text("utf-8"))
    config["hidden_dropout_prob"] = 0.35
    path.write_text(json.dumps(config))
    start = (
        *("--preset", "transformer_classifier_base"),
        *("--init_from", str(folder)),
    )
    default = zoo.get_preset(start[1]).architecture["dropout"]
    assert configure(start)[1].model["dropout"] == 0.35
    typed = configure([*start, "--model.dropout", str(default)])[1]
    assert typed.model["dropout"] == default != 0.35
    settings = tmp_path / "settings.yaml"
    settings.write_text(f"model: {{dropout: {default}, pooling: mean}}\n")
    from_file = configure([*start, "--config", str(settings)])[1]
    assert from_file.model["dropout"] == default
    assert from_file.model["pooling"] == "mean"
    positions = config["max_position_embeddings"]
    assert from_file.preprocessing.max_sequence_length == positions


def test_a_run_of_another_task_is_refused(prepare, tiny_run):
    with pytest.raises(ConfigurationError) as error:
        prepare(
            *("--preset", "transformer_classifier_tiny"),
            *("--init_from", tiny_run),
        )
    message = str(error.value)
    assert "BahdanauTranslator, for translation" in message
    assert "TransformerClassifier, for text_classification" in message
    assert f"init_from={tiny_run}" in message


def test_a_folder_of_neither_kind_is_refused(prepare, tmp_path):
    for start in (tmp_path, tmp_path / "none", tmp_path / "texts.csv"):
        with pytest.raises(ConfigurationError, match="no run and no folder"):
            prepare("--init_from", start)


def test_the_size_of_a_run_s_pictures(image_start):
    left_to_the_run = configure([*image_start, "--height", "0"])[1]
    assert left_to_the_run.preprocessing.height == 8
    assert configure([*image_start, "--width", "12"])[1] == left_to_the_run
    with pytest.raises(ConfigurationError, match=r"`width` .*is 12.*width=16"):
        configure([*image_start, "--width", "16"])


@pytest.fixture
def image_start(tmp_path):
    """Arguments of a fit that starts from a run whose data gave the size."""
    preset = "vision_transformer_tiny_digits"
    run = Run.start(tmp_path / "images", configure(["--preset", preset])[1])
    model, preprocessor = classifier_runs.image_model()
    run.save_preprocessor(preprocessor)
    run.checkpoints.mkdir()
    model.save(run.model_path)
    return ["--preset", preset, "--init_from", str(run.directory)]

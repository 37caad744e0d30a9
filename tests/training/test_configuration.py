"""What a fit is told, by preset, file and command line."""

import types

import pytest
import yaml

import zoo
from training.configuration import config_first
from training.configuration import configuration_of
from training.configuration import ConfigurationError
from training.configuration import default_name
from training.configuration import differences
from training.configuration import fit_parser
from training.configuration import read_yaml
from training.configuration import resolve


def _resolved(*argv):
    return resolve(fit_parser(list(argv)).parse_args(config_first(list(argv))))


@pytest.fixture
def file(tmp_path):
    def write(text):
        path = tmp_path / "settings.yaml"
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write


def test_the_preset_gives_the_defaults():
    for name in zoo.list_presets():
        preset = zoo.get_preset(name)
        # A path has no default.
        dataset = preset.dataset.replace("DIR", "pictures")
        chosen = ["--dataset", dataset] if dataset != preset.dataset else []
        configuration = _resolved("--preset", name, *chosen)
        assert configuration.preset == name
        assert configuration.dataset == dataset
        for field, value in preset.recipe.items():
            assert getattr(configuration.recipe, field) == value
        for field, value in preset.preprocessing.items():
            assert getattr(configuration.preprocessing, field) == value
        for field, value in preset.architecture.items():
            assert configuration.model[field] == value


def test_the_default_is_the_smallest_preset():
    configuration = _resolved()
    assert configuration.preset == "bahdanau_translator_tiny"
    assert configuration.dataset == "phrases"
    assert configuration.data["num_train"] == 40_000
    assert configuration.init_from is None


def test_the_file_overrides_the_preset(file):
    path = file(
        "preset: bahdanau_translator_small\nepochs: 5\n"
        "model:\n  hidden_dim: 32\n"
    )
    configuration = _resolved("--config", path)
    assert configuration.preset == "bahdanau_translator_small"
    assert configuration.recipe.epochs == 5
    assert configuration.model["hidden_dim"] == 32
    assert configuration.model["dropout"] == 0.3  # of the preset
    assert configuration.recipe.label_smoothing == 0.1


@pytest.mark.parametrize("file_first", [True, False])
def test_the_command_line_overrides_the_file(file, file_first):
    path = file(
        "preset: bahdanau_translator_small\nepochs: 5\nseed: 4\n"
        "model: {hidden_dim: 32, embedding_dim: 16}\n"
    )
    given = ["--config", path]
    typed = ["--epochs", "7", "--model.hidden_dim=64"]
    argv = [*given, *typed] if file_first else [*typed, *given]
    configuration = _resolved(*argv)
    assert configuration.recipe.epochs == 7
    assert configuration.recipe.seed == 4
    assert configuration.model["hidden_dim"] == 64
    assert configuration.model["embedding_dim"] == 16


@pytest.mark.parametrize("file_first", [True, False])
def test_a_preset_on_the_command_line_overrides_that_of_the_file(
    file, file_first
):
    path = file("preset: bahdanau_translator_base\nseed: 4\n")
    given = ["--config", path]
    typed = ["--preset", "bahdanau_translator_small"]
    argv = [*given, *typed] if file_first else [*typed, *given]
    configuration = _resolved(*argv)
    assert configuration.preset == "bahdanau_translator_small"
    assert configuration.model["hidden_dim"] == 256
    assert configuration.recipe.seed == 4


def test_the_data_set_of_the_file_brings_its_fields(file):
    path = file("dataset: tsv:pairs.tsv\ndata: {header: true}\n")
    configuration = _resolved("--config", path, "--data.source_column", "en")
    assert configuration.dataset == "tsv:pairs.tsv"
    assert configuration.data["header"] is True
    assert configuration.data["source_column"] == "en"
    assert configuration.data["target_column"] == 1
    assert "path" not in configuration.data


def test_what_is_written_repeats_the_run(file):
    first = _resolved(
        *("--preset", "bahdanau_translator_small", "--dataset", "phrases"),
        *("--learning_rate", "1e-5", "--model.attention", "none"),
        *("--data.target_language", "de", "--jit", "false"),
    )
    path = file(yaml.safe_dump(first.to_dict(), sort_keys=False))
    assert _resolved("--config", path) == first
    assert configuration_of(read_yaml(path)) == first
    assert first.recipe.learning_rate == 1e-5
    assert first.recipe.jit is False


@pytest.mark.parametrize(
    ("argv", "named"),
    [
        (["--nonsense", "3"], "nonsense"),
        (["--model.nonsense", "3"], "nonsense"),
        (["--model.name", "x"], "model.name"),
        (["--data.num_trian", "3"], "num_trian"),
        (["--dataset", "tsv:a.tsv", "--data.num_train", "3"], "num_train"),
        (["--data.path", "x"], "data.path"),
        (["--epochs", "three"], "epochs"),
        (["--epochs", "2.5"], "epochs"),
        (["--jit", "maybe"], "jit"),
        (["--learning_rate", "fast"], "learning_rate"),
        (["--learning_rate", "nan"], "learning_rate"),
        (["--schedule", "linear"], "schedule"),
        (["--model.attention", "self"], "model.attention"),
        (["--tokenizer", "letters"], "tokenizer"),
        (["--epoch", "3"], "--epoch"),  # no abbreviations
        (["--pres", "bahdanau_translator_small"], "--pres"),
        (["stray"], "stray"),
        (["--epochs"], "epochs"),
    ],
)
def test_a_wrong_argument_is_named_with_status_2(argv, named, capsys):
    with pytest.raises(SystemExit) as stopped:
        _resolved(*argv)
    assert stopped.value.code == 2
    # The last lines are the error, those before the usage.
    error = capsys.readouterr().err.rpartition("error:")[2]
    assert named in error


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("nonsense: 3", "nonsense"),
        ("model: {nonsense: 3}", "nonsense"),
        ("epochs: three", "epochs"),
        ("model: {hidden_dim: wide}", "hidden_dim"),
    ],
)
def test_a_wrong_field_of_a_file_is_named_with_status_2(
    text, named, file, capsys
):
    with pytest.raises(SystemExit) as stopped:
        _resolved("--config", file(text))
    assert stopped.value.code == 2
    assert named in capsys.readouterr().err.rpartition("error:")[2]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--preset", "bahdanau_tiny"], "Did you mean.*preset=bahdanau_tiny"),
        (["--dataset", "phrase"], "Did you mean 'phrases'.*name='phrase'"),
        (["--dataset", "tsv:"], "A path must follow"),
        (["--epochs", "0"], "`epochs` must be at least 1.*epochs=0"),
        (["--label_smoothing", "1"], "`label_smoothing` must be"),
        (["--config", "missing.yaml"], "missing.yaml can't be read"),
    ],
)
def test_an_impossible_wish_is_one_error(argv, message):
    with pytest.raises(ConfigurationError, match=message):
        _resolved(*argv)


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "just words", "a: [", "\t"])
def test_a_file_that_is_no_mapping_is_refused(text, file):
    path = file(text)
    with pytest.raises(ConfigurationError, match=r"settings\.yaml"):
        _resolved("--config", path)


def test_a_file_that_is_no_text_is_refused(tmp_path):
    path = tmp_path / "bytes.yaml"
    path.write_bytes(b"epochs: \xff")
    with pytest.raises(ConfigurationError, match=r"bytes\.yaml"):
        _resolved("--config", str(path))


def test_a_file_cannot_run_code(file, tmp_path):
    mark = tmp_path / "mark"
    path = file(f"epochs: !!python/object/apply:os.mkdir ['{mark}']")
    with pytest.raises(ConfigurationError):
        _resolved("--config", path)
    assert not mark.exists()


def test_differences():
    old = {"a": 1, "b": {"c": 2, "d": 3}, "gone": 5, "same": [1]}
    new = {"a": 2, "b": {"c": 2, "d": 4}, "came": 6, "same": [1]}
    assert differences(old, new) == [
        "  a: 1 in the run, 2 now",
        "  b.d: 3 in the run, 4 now",
        "  came: (none) in the run, 6 now",
        "  gone: 5 in the run, (none) now",
    ]
    assert differences(old, old) == []


@pytest.mark.parametrize(
    ("dataset", "name"),
    [
        ("phrases", "vision_transformer_tiny_digits_phrases"),
        ("digits", "vision_transformer_tiny_digits"),
        ("images:b.c", "vision_transformer_tiny_digits_images_b"),
        ("images:a/b.c", "vision_transformer_tiny_digits_images_b"),
    ],
)
def test_default_name(dataset, name):
    configuration = types.SimpleNamespace(
        preset="vision_transformer_tiny_digits", dataset=dataset
    )
    assert default_name(configuration) == name

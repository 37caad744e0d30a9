"""From a configuration to what is fitted; the fit itself is left out."""

import numpy as np
import pytest

from datasets import DataError
from training import fit_run as module
from training.configuration import ConfigurationError
from training.fit_run import fit_run
from training.run import Run
from training.start import configure

_SMALL = [
    *("--validation_metric", "loss", "--jit", "false"),
    *("--model.hidden_dim", "8", "--model.embedding_dim", "4"),
    *("--model.dropout", "0.2"),
]
_PHRASES = [
    *_SMALL,
    *("--data.num_train", "40", "--data.num_validation", "8"),
    *("--data.num_test", "8"),
]


@pytest.fixture
def prepare(tmp_path, monkeypatch):
    """Runs all but the loop over epochs; gives what the loop would get."""
    found = {}

    def fit(objective, recipe, batches, evaluate, checkpoints, **options):
        found.update(model=objective.model, recipe=recipe, batches=batches)
        return [{"loss": 1.0, "seconds": 1.0}]

    monkeypatch.setattr(module, "fit", fit)

    def run(*argv, name="run", data_dir=None):
        argv = [str(argument) for argument in argv]
        _, configuration = configure(argv)
        found["run"] = Run.start(tmp_path / name, configuration)
        found["metrics"] = fit_run(
            configuration, found["run"], data_dir, "python train.py"
        )
        return found

    return run


def _write(tmp_path, rows):
    path = tmp_path / "pairs.tsv"
    path.write_text(
        "".join(f"{source}\t{target}\n" for source, target in rows), "utf-8"
    )
    return path


def test_fewer_pairs_than_a_batch(prepare, tmp_path, capsys):
    rows = [(f"one {word}", f"un {word}") for word in "abcde"]
    found = prepare(*_SMALL, "--dataset", f"tsv:{_write(tmp_path, rows)}")
    assert found["batches"].num_pairs == 3
    assert found["batches"].steps_per_epoch == 1
    assert found["metrics"]["data"]["pairs"] == {
        "train": 3,
        "validation": 1,
        "test": 1,
    }
    printed = capsys.readouterr().out
    assert "train            3 pairs" in printed
    assert "dropped: none" in printed


def test_pairs_too_long_are_counted(prepare, tmp_path, capsys):
    short = [(f"one {word}", f"un {word}") for word in "abcdefgh"]
    long_source = [("x " * 12 + word, "y") for word in "ab"]
    long_target = [("z " + word, "y " * 12) for word in "abc"]
    path = _write(tmp_path, [*short, *long_source, *long_target])
    held_out = tmp_path / "held.tsv"
    held_out.write_text("one a\tun a\n" + "x " * 30 + "\ty\n")
    found = prepare(
        *_SMALL,
        *("--dataset", f"tsv:{path}", "--max_sequence_length", "10"),
        *("--data.validation_path", held_out, "--data.test_path", held_out),
    )
    assert found["batches"].num_pairs == 8
    printed = capsys.readouterr().out
    assert "5 longer than 10 tokens" in printed
    assert "1 longer than 10 tokens were cut" in printed


def test_an_invisible_side_is_dropped(prepare, tmp_path, capsys):
    rows = [("a", "b"), ("c", "d"), ("e", "f"), ("\0", "g"), ("h", "\0")]
    held_out = _write(tmp_path, rows[:1]).rename(tmp_path / "held.tsv")
    prepare(
        *_SMALL,
        *("--dataset", f"tsv:{_write(tmp_path, rows)}"),
        *("--data.validation_path", held_out, "--data.test_path", held_out),
    )
    assert "dropped: 2 empty side" in capsys.readouterr().out


def test_nothing_to_train_on_is_one_error(prepare, tmp_path):
    rows = [(f"x y z {word}", "y") for word in "abcdefgh"]
    path = _write(tmp_path, rows)
    with pytest.raises(ConfigurationError, match="None of the 6 pairs"):
        prepare(
            *_SMALL, "--dataset", f"tsv:{path}", "--max_sequence_length", "3"
        )


@pytest.mark.parametrize("split", ["train", "validation"])
def test_a_split_without_pairs_is_one_error(split, prepare):
    with pytest.raises(ConfigurationError, match=f"split `{split}`"):
        prepare(*_PHRASES, f"--data.num_{split}", "0")


def test_a_subword_vocabulary_too_small_is_one_error(prepare):
    with pytest.raises(ConfigurationError, match="vocabulary_size=6"):
        prepare(*_PHRASES, "--tokenizer", "subword", "--vocabulary_size", "6")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--data.source_language", "xx"], "source_language='xx'"),
        (["--data.target_language", "en"], "must differ"),
        (["--data.num_train", "-1"], "num_train=-1"),
    ],
)
def test_an_impossible_option_of_the_data_is_one_error(
    options, message, prepare
):
    with pytest.raises(ConfigurationError, match=message):
        prepare(*_PHRASES, *options)


@pytest.mark.parametrize(
    "options", [["--model.hidden_dim", "0"], ["--model.dropout", "1.5"]]
)
def test_an_impossible_model_is_one_error(options, prepare):
    with pytest.raises(ConfigurationError):
        prepare(*_PHRASES, *options)


def test_guided_alignment_needs_gold_alignments(prepare, tmp_path):
    path = _write(tmp_path, [(f"one {word}", "un") for word in "abcde"])
    with pytest.raises(ConfigurationError, match="no gold alignments"):
        prepare(
            *_SMALL, "--dataset", f"tsv:{path}", "--guided_alignment", "0.1"
        )


def test_guided_alignment_needs_attention(prepare):
    options = ["--guided_alignment", "0.1", "--model.attention", "none"]
    with pytest.raises(ConfigurationError, match="a model with attention"):
        prepare(*_PHRASES, *options)


def test_guided_batches_have_the_links(prepare):
    found = prepare(*_PHRASES, "--guided_alignment", "0.5")
    _, targets, weights = next(iter(found["batches"].epochs().take(1)))
    assert float(weights["alignment"].numpy().sum()) > 10
    np.testing.assert_allclose(
        targets["alignment"].numpy().sum(-1), weights["alignment"], atol=1e-6
    )


def test_the_seed_gives_the_weights(prepare):
    weights = [
        prepare(*_PHRASES, "--seed", seed, name=name)["model"].get_weights()
        for seed, name in ((1, "a"), (1, "b"), (2, "c"))
    ]
    for same, other in zip(weights[0], weights[1]):
        np.testing.assert_array_equal(same, other)
    assert any((a != b).any() for a, b in zip(weights[0], weights[2]))


@pytest.fixture
def fine_tune(prepare, tiny_run):
    def run(*argv, **options):
        return prepare(*_PHRASES, "--init_from", tiny_run, *argv, **options)

    return run


def test_fine_tuning_starts_with_the_weights_of_the_run(fine_tune, tiny_run):
    # Other phrases, so that another vocabulary would be learned.
    found = fine_tune("--data.seed", "5", "--model.dropout", "0.4")
    start = Run(tiny_run)
    for ours, theirs in zip(
        found["model"].get_weights(), start.load_model().get_weights()
    ):
        np.testing.assert_array_equal(ours, theirs)
    assert found["model"].dropout == 0.4
    left, right = (run.load_preprocessor() for run in (found["run"], start))
    for side in ("source_tokenizer", "target_tokenizer"):
        assert getattr(left, side).vocabulary == getattr(right, side).vocabulary


def test_fine_tuning_of_another_model_is_refused(fine_tune):
    with pytest.raises(ConfigurationError) as error:
        fine_tune("--model.hidden_dim", "16")
    assert "`model.hidden_dim` belongs to the weights" in str(error.value)
    assert "where it is 8" in str(error.value)
    assert "model.hidden_dim=16" in str(error.value)


def test_fine_tuning_from_no_run_is_refused(prepare, tmp_path):
    with pytest.raises(ConfigurationError, match="is no run"):
        prepare(*_PHRASES, "--init_from", tmp_path / "nothing")


@pytest.mark.parametrize(
    ("content", "line", "what"),
    [
        (b"a\tb\nc\n", "line 2", "column 1 is missing"),
        (b"a\tb\n\tc\n", "line 2", "column 0 is empty"),
        (b'a\tb\nc\td\n"e\tf\ng\th\n', "line 3", "never closed"),
        (b"a\tb\nc\td\n\xff\xfe\td\n", "line 3", "not valid UTF-8"),
    ],
)
def test_a_file_that_is_broken_is_named_with_its_line(
    content, line, what, prepare, tmp_path
):
    path = tmp_path / "broken.tsv"
    path.write_bytes(content)
    with pytest.raises(DataError) as error:
        prepare(*_SMALL, "--dataset", f"tsv:{path}")
    message = str(error.value)
    assert "broken.tsv" in message
    assert line in message
    assert what in message

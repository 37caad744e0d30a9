"""How `train.py` is told to search for translations, and what it refuses."""

import csv

import pytest

import train


@pytest.fixture
def evaluate(tiny_run, capsys, tmp_path, monkeypatch):
    """Evaluates the tiny run; gives the exit status, what was printed, and
    the rows that were written."""
    monkeypatch.chdir(tmp_path)

    def run(*options):
        argv = ["evaluate", str(tiny_run), *options, "--output", "out.tsv"]
        try:
            status = train.main(argv)
        except SystemExit as stop:
            status = stop.code
        printed = capsys.readouterr()
        if status:
            assert not (tmp_path / "out.tsv").exists()
            return status, printed.err, None
        with open("out.tsv", encoding="utf-8", newline="") as file:
            return (
                status,
                printed.out,
                list(csv.DictReader(file, dialect="excel-tab")),
            )

    return run


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--decoder", "best"], "best"),
        (["--decoder", "beam", "--beam-width", "0"], "beam_width=0"),
        (["--decoder", "beam", "--beam-width", "many"], "many"),
        (["--decoder", "beam", "--length-penalty", "nan"], "nan"),
        (["--decoder", "beam", "--length-penalty", "-1"], "penalty=-1"),
        (["--decoder", "sample", "--temperature", "0"], "temperature=0"),
        (["--decoder", "sample", "--temperature", "inf"], "inf"),
        (["--decoder", "sample", "--top-p", "1.1"], "top_p=1.1"),
        (["--decoder", "sample", "--top-k", "-1"], "top_k=-1"),
        (["--decoder", "beam", "--top-k", "5"], "decoder=beam"),
        (["--beam-width", "4"], "of the decoder beam"),
        (["--temperature", "0.5"], "of the decoder sample"),
        (["--min-length", "-1"], "min_length=-1"),
        (["--no-repeat-ngram", "-1"], "no_repeat_ngram=-1"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_an_impossible_search_is_refused(evaluate, options, message):
    status, error, _ = evaluate(*options)
    assert status == 2
    assert message in error
    assert "Traceback" not in error


def test_searches_differ(evaluate):
    found = {}
    for name, options in {
        "greedy": [],
        "beam of one": ["--decoder", "beam", "--beam-width", "1"],
        "beam": ["--decoder", "beam", "--beam-width", "3"],
        "sample": ["--decoder", "sample", "--seed", "5"],
    }.items():
        status, printed, rows = evaluate(*options)
        assert status == 0
        assert ("decoder" in printed) == (name != "greedy")
        found[name] = [row["translation"] for row in rows]
    assert found["beam of one"] == found["greedy"]
    assert found["beam"] != found["greedy"]
    assert found["sample"] != found["greedy"]

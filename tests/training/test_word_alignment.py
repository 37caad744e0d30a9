"""Word alignments from attention, and the command that writes them."""

import pathlib

import numpy as np
import pytest

import train
from datasets import DataError
from preprocessing.alignment import blank_spans
from training import alignment
from training.configuration import ConfigurationError
from training.run import Run
from training.translation import Pairs

SOURCES = ["March 5, 2021", "20 percent"]
TARGETS = ["5 mars 2021", "20 pour cent"]


@pytest.fixture(scope="module")
def run(tiny_run):
    return Run.find(tiny_run)


def test_links_are_those_of_the_strongest_weights(run):
    preprocessor = run.load_preprocessor()
    pairs = Pairs(["red 20"], ["20 rouge"])
    source, target = (
        [piece.decode() for piece in tokenizer.pieces(texts).to_list()[0]]
        for tokenizer, texts in (
            (preprocessor.source_tokenizer, pairs.sources),
            (preprocessor.target_tokenizer, pairs.targets),
        )
    )
    assert source == ["▁red", "▁2", "0"] and target == ["▁2", "0", "▁rouge"]
    # Rows: 2, 0, rouge, END; columns: red, 2, 0, END.
    scores = np.array(
        [
            [0.6, 0.2, 0.2, 0.0],
            [0.1, 0.5, 0.4, 0.0],
            [0.2, 0.1, 0.1, 0.6],
            [0.1, 0.3, 0.3, 0.3],
        ]
    )
    links = alignment.AttentionLinks(preprocessor, pairs, blank_spans)
    # "20" has 0.7 on red and 1.3 on 20; rouge, END aside, 0.2 on both: the
    # first of equals.
    assert links.of(0, scores) == {(1, 0), (0, 1)}
    # A step later: 0.3 and 1.1; 0.1 and 0.6.
    shifted = alignment.AttentionLinks(preprocessor, pairs, blank_spans, True)
    assert shifted.of(0, scores) == {(1, 0), (1, 1)}


def test_every_target_word_has_a_link(run):
    links = alignment.RunAligner(run).align(SOURCES, TARGETS)
    for pair, source, target in zip(links, SOURCES, TARGETS):
        assert {word for _, word in pair} == set(range(len(target.split())))
        assert all(0 <= word < len(source.split()) for word, _ in pair)


def test_gold_and_pharaoh(tmp_path):
    path = tmp_path / "gold"
    path.write_text("1-1 2p3\n\n3-2\n")
    gold = alignment.read_gold(path, first_word=1)
    second = {(2, 1)}
    assert gold == [
        ({(0, 0)}, {(0, 0), (1, 2)}),
        (set(), set()),
        (second, second),
    ]
    assert alignment.pharaoh({(2, 1), (0, 3)}) == "0-3 2-1"
    alignment.write_pharaoh(tmp_path / "out", [{(0, 0)}, set()])
    assert (tmp_path / "out").read_text() == "0-0\n\n"


@pytest.mark.parametrize("line", ["1:2", "0-1", "1-0", "a-1", "1-"])
def test_gold_that_is_none(tmp_path, line):
    path = tmp_path / "gold"
    path.write_text(f"1-1\n{line}\n")
    with pytest.raises(DataError, match=f"gold, line 2: .*{line}"):
        alignment.read_gold(path, first_word=1)


def test_an_unknown_head(run):
    with pytest.raises(ConfigurationError, match="Heads here: decoder/cross 0"):
        alignment.RunAligner(run, head="decoder/cross 1")


def test_command(tiny_run, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name, lines in (("en", SOURCES), ("fr", TARGETS)):
        pathlib.Path(name).write_text("\n".join(lines) + "\n", "utf-8")
    pathlib.Path("gold").write_text("0-0 1-1\n0-0\n")
    command = ["align", str(tiny_run), "en", "fr", "--gold", "gold"]
    assert train.main(command) == 0
    found = capsys.readouterr()
    assert len(found.out.splitlines()) == 2
    assert "alignment error rate" in found.err
    pathlib.Path("gold").write_text("0-0\n")
    assert train.main(command) == 2
    assert "en 2, fr 2, gold 1" in capsys.readouterr().err

"""Word alignments from attention, and the command that writes them."""

import functools
import pathlib
import types

import numpy as np
import pytest

import datasets
import train
from datasets import DataError
from training import alignment
from training.configuration import ConfigurationError
from training.run import Run
from training.translation import Pairs
from training.translation import read_pairs
from zoo.transformer_translator import TransformerTranslator

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
    spans = [[(0, 3), (4, 6)]], [[(0, 2), (3, 8)]]
    links = alignment.AttentionLinks(preprocessor, pairs, spans)
    # "20" has 0.7 on red and 1.3 on 20; rouge, END aside, 0.2 on both: the
    # first of equals.
    assert links.of(0, scores) == {(1, 0), (0, 1)}
    # A step later: 0.3 and 1.1; 0.1 and 0.6.
    shifted = alignment.AttentionLinks(preprocessor, pairs, spans, True)
    assert shifted.of(0, scores) == {(1, 0), (1, 1)}


def test_every_target_word_has_a_link(run):
    links, num_cut = alignment.RunAligner(run).align(SOURCES, TARGETS)
    assert num_cut == 0
    for pair, source, target in zip(links, SOURCES, TARGETS):
        assert {word for _, word in pair} == set(range(len(target.split())))
        assert all(0 <= word < len(source.split()) for word, _ in pair)


def test_words_whose_form_changes_keep_their_places(run):
    # The one form of these is longer or shorter, and one has a blank in it;
    # what has no form at all (a control character) is a word nevertheless.
    odd = "…½ ﬁn\u00a0e\u0301 ™ \x07 \u00a8"
    plain = "...1⁄2 finé TM"
    aligner = alignment.RunAligner(run)
    (found, short), _ = aligner.align(
        [f"{odd} 20 March"] * 2, [f"5 {odd} mars", "mars  2021"]
    )
    (expected,), _ = aligner.align([f"{plain} 20 March"], [f"5 {plain} mars"])
    moved = {(i + 2 * (i > 2), j + 2 * (j > 3)) for i, j in expected}
    assert len(moved) == 5
    assert {(i, j) for i, j in found if j not in (4, 5)} == moved
    assert {j for _, j in short} == {0, 1}


def test_what_the_model_did_not_see_has_no_links(run):
    longest = run.load_preprocessor().max_sequence_length
    target = " ".join(["mars"] * (longest + 20))
    links, num_cut = alignment.RunAligner(run).align(
        ["March", "March"], ["mars", target]
    )
    assert num_cut == 1
    assert [len(each) for each in links] == [1, longest - 1]


def test_no_more_of_a_text_is_aligned_than_is_read(run):
    aligner = alignment.RunAligner(run)
    # One word of 70,000 bytes; the model has a limit of 65,536.
    source = "x" * 70_000 + " red" * 20
    (links,), num_cut = aligner.align([source], ["20 rouge"])
    assert num_cut == 1
    assert {word for word, _ in links} == {0}
    assert {word for _, word in links} <= {0, 1}


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


@pytest.fixture
def two_heads(run):
    """What `RunAligner` takes of a run, of a model with two heads."""
    preprocessor = run.load_preprocessor()
    model = TransformerTranslator(
        preprocessor.source_tokenizer.vocabulary_size,
        preprocessor.target_tokenizer.vocabulary_size,
        num_layers=1,
        num_heads=2,
        hidden_dim=8,
        intermediate_dim=8,
    )
    ids = np.zeros((1, 2), "int32")
    model({"source": ids, "target": ids})
    return types.SimpleNamespace(
        directory="two_heads",
        metrics={"data": run.metrics["data"]},
        load_model=lambda: model,
        load_preprocessor=lambda: preprocessor,
    )


@pytest.mark.parametrize(
    "chosen", [("decoder/0/cross 1", False), ("decoder/0/cross 0", True)]
)
def test_the_head_with_the_lowest_error_is_chosen(
    chosen, two_heads, monkeypatch
):
    few = {"num_train": 1, "num_validation": 40, "num_test": 1}
    load = functools.partial(datasets.load, **few)
    monkeypatch.setattr(datasets, "load", load)
    aligner = alignment.RunAligner(two_heads)
    with pytest.raises(ConfigurationError, match="--choose_on phrases"):
        aligner.align(SOURCES, TARGETS)
    # What one of them answers is right.
    loaded = load("phrases", source_language="en", target_language="fr")
    pairs = read_pairs(loaded.splits["validation"])
    links = alignment.AttentionLinks(
        aligner.preprocessor, pairs, shift=chosen[1]
    )
    found = alignment.align(
        aligner.model, aligner.preprocessor, pairs, [chosen], {chosen[1]: links}
    )
    right = iter(found[chosen])
    monkeypatch.setattr(
        alignment.alignment, "gold_links", lambda *_: [next(right)] * 2
    )
    errors = aligner.choose("phrases")
    assert (aligner.head, aligner.shift) == chosen
    assert errors.pop(chosen) == 0
    assert len(errors) == 3 and min(errors.values()) > 0.1


def test_what_no_head_can_be_chosen_on(two_heads, tmp_path):
    aligner = alignment.RunAligner(two_heads)
    lines = [f"a {n}\tb {n}\n" for n in range(40)]
    (tmp_path / "pairs.tsv").write_text("".join(lines))
    for dataset in ("digits", f"tsv:{tmp_path / 'pairs.tsv'}"):
        with pytest.raises(ConfigurationError, match="with gold alignments"):
            aligner.choose(dataset)
    with pytest.raises(ConfigurationError, match="name='phrase'"):
        aligner.choose("phrase")
    two_heads.metrics["data"] = {"source_language": "en"}
    with pytest.raises(ConfigurationError, match=r"--data.source_language en"):
        aligner.choose("phrases")
    two_heads.metrics = {}
    with pytest.raises(ConfigurationError, match="not fitted to the end"):
        aligner.choose("phrases")


def test_a_model_without_attention_aligns_nothing(two_heads, monkeypatch):
    monkeypatch.setattr(alignment, "heads_of", lambda model: [])
    with pytest.raises(ConfigurationError, match="without attention"):
        alignment.RunAligner(two_heads)


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
    assert train.main([*command, "--choose_on", "phrases", "--shift"]) == 2
    assert "neither can be given with it" in capsys.readouterr().err
    pathlib.Path("gold").write_text("0-0\n")
    assert train.main(command) == 2
    assert "en 2, fr 2, gold 1" in capsys.readouterr().err
    # Counted from 1, and read as if from 0.
    counts = [len(texts[1].split()) for texts in (SOURCES, TARGETS)]
    pathlib.Path("gold").write_text(f"0-0\n1-1 {counts[0]}p{counts[1]}\n")
    assert train.main(command) == 2
    told = capsys.readouterr().err
    assert "gold, line 2: the words are counted from 0" in told
    assert f"Received: {counts[0]}-{counts[1]}" in told
    assert train.main([*command, "--gold_first_word", "1"]) == 2
    assert "gold, line 1" in capsys.readouterr().err

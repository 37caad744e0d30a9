"""The benchmark of decoding, and its peers where they are installed."""

import dataclasses
import importlib.util
import json

import numpy as np
import pytest

from benchmarks import _agreement
from benchmarks import _decoding_setting as common
from benchmarks import _decoding_tables as tables
from benchmarks import decoding
from layers import SinusoidalPositionEncoding

TINY = {
    "num_layers": 2,
    "num_heads": 3,
    "hidden_dim": 12,
    "intermediate_dim": 20,
    "vocabulary_size": 17,
    "batch_size": 2,
    "source_length": 5,
    "target_length": 7,
    "beam_width": 3,
}
NEEDED = {
    "transformers": ("torch", "transformers"),
    "ctranslate2": ("torch", "transformers", "ctranslate2"),
}


@pytest.fixture
def setting():
    return common.Setting(**TINY)


def is_missing(name):
    return any(importlib.util.find_spec(each) is None for each in NEEDED[name])


def test_arguments():
    options = decoding.parse_arguments(["--against", "transformers"])
    assert options.against == ["transformers"]
    assert options.cache_lengths == [32, 128, 512]
    assert options.repeats >= 5
    sizes = decoding.make_setting(options)
    assert (sizes.num_layers, sizes.hidden_dim) == (4, 256)
    assert sizes.target_tokens == 64 * 32
    tiny = [
        part
        for name, value in TINY.items()
        for part in (f"--{name.replace('_', '-')}", str(value))
    ]
    options = decoding.parse_arguments([*tiny, "--threads", "1"])
    assert decoding.make_setting(options) == common.Setting(**TINY, threads=1)
    with pytest.raises(SystemExit):
        decoding.parse_arguments(["--against", "ours"])


def test_what_is_timed_of_whom():
    assert decoding.kinds_of("ours", ["train", "greedy"]) == ["greedy", "train"]
    assert decoding.kinds_of("ctranslate2", ["train"]) == []
    assert decoding.kinds_of("transformers-compiled", decoding.KINDS) == [
        "train"
    ]


def test_weights_and_batch_are_the_same_for_all(setting):
    first, again = (common.make_weights(setting) for _ in range(2))
    for name, weight in first.items():
        np.testing.assert_array_equal(weight, again[name])
        assert weight.dtype == "float32"
    np.testing.assert_array_equal(first["embedding"][common.START_ID], 0)
    assert first["decoder/1/feed_forward/output_kernel"].shape == (20, 12)
    assert first["encoder/0/attention/query_bias"].shape == (12,)
    source, target, predicted = common.make_batch(setting)
    assert source.shape == (2, 5)
    assert target.shape == predicted.shape == (2, 7)
    np.testing.assert_array_equal(target[:, 1:], predicted[:, :-1])
    np.testing.assert_array_equal(target[:, 0], common.START_ID)
    assert min(source.min(), predicted.min()) >= common.NEVER_EMITTED


def test_marian_has_the_same_tokens(setting):
    ids = common.marian_ids(setting)
    assert sorted(ids) == list(range(17))
    names = common.token_names(setting)
    assert names[0] == str(common.END_ID)
    assert names[1] == str(common.UNKNOWN_ID)
    assert (ids[-1], names[-1]) == (common.START_ID, "<pad>")
    assert names[5] == str(ids[5])


def test_marian_has_the_same_features():
    encoding = SinusoidalPositionEncoding()(np.zeros((1, 7, 6), "float32"))
    states = np.asarray(encoding)[0]
    angles = np.arange(7)[:, None] / 10000 ** (np.arange(3) / 3)
    theirs = np.concatenate([np.sin(angles), np.cos(angles)], axis=-1)
    np.testing.assert_allclose(
        common.marian_weight("embedding", states), theirs, atol=1e-6
    )
    # What reads the states gives the same, what writes them is turned.
    kernel = np.random.default_rng(0).normal(size=(6, 4))
    for name in ("query_kernel", "hidden_kernel"):
        turned = common.marian_weight(f"encoder/0/x/{name}", kernel)
        np.testing.assert_allclose(theirs @ turned, states @ kernel, atol=1e-5)
    for name in ("output_kernel", "output_bias", "gamma", "beta"):
        turned = common.marian_weight(f"encoder/0/x/{name}", kernel.T)
        order = [0, 2, 4, 1, 3, 5]
        np.testing.assert_array_equal(turned, kernel.T[:, order])
    bias = common.marian_weight("encoder/0/x/query_bias", kernel)
    assert bias is kernel


@pytest.mark.parametrize(
    "name",
    ["ours", pytest.param("ours-without-xla", marks=pytest.mark.long)],
)
def test_our_contestant(setting, tmp_path, name):
    found = {}
    setting = dataclasses.replace(setting, num_layers=1)  # compiles faster
    with decoding.start(name, setting) as worker:
        for kind in ("greedy", "beam", "whole prefix"):
            path = f"{tmp_path}/tokens.npy"
            worker.call("translate", kind=kind, path=path)
            found[kind] = np.load(path)
            assert 0 < worker.call("time", kind=kind, steps=2) < 10
        worker.call("first_step", path=f"{tmp_path}/first.npy")
        losses = worker.call("losses", steps=4)
        assert 0 < worker.call("time", kind="train", steps=2) < 10
    np.testing.assert_array_equal(found["greedy"], found["whole prefix"])
    for tokens in found.values():
        assert tokens.shape == (2, 7)
        assert tokens.min() >= common.NEVER_EMITTED
    chances = np.exp(np.load(tmp_path / "first.npy"))
    np.testing.assert_allclose(chances.sum(-1), 1, rtol=1e-5)
    np.testing.assert_array_equal(chances[:, : common.NEVER_EMITTED], 0)
    np.testing.assert_array_equal(found["greedy"][:, 0], chances.argmax(-1))
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("name", NEEDED)
def test_a_peer_computes_the_same(setting, tmp_path, name):
    if is_missing(name):
        pytest.skip(f"{', '.join(NEEDED[name])} must be installed")
    workers = {}
    try:
        if name == decoding.CTRANSLATE2:
            decoding.convert(setting, str(tmp_path))
        workers[decoding.OURS] = decoding.start(decoding.WITHOUT_XLA, setting)
        workers[name] = decoding.start(name, setting, str(tmp_path))
        same = decoding.check(workers, decoding.KINDS)
        for kind in decoding.kinds_of(name, decoding.KINDS):
            assert 0 < workers[name].call("time", kind=kind, steps=1) < 10
    finally:
        for worker in workers.values():
            worker.close()
    assert same == {name: {"greedy": 1.0, "beam": 1.0}}


def test_disagreement_is_an_error():
    tokens = np.arange(200).reshape(2, 100)
    ours = {
        "first": np.array([[-0.5, -7.0]]),
        "losses": np.array([6.9, 6.1]),
        "greedy": tokens,
        "beam": tokens,
    }
    tie = np.where(tokens < 2, 0, tokens)
    assert _agreement.compare_searches("near", ours, ours | {"beam": tie}) == {
        "greedy": 1.0,
        "beam": 0.995,
    }
    assert _agreement.compare_searches("less", ours, {"greedy": tokens}) == {
        "greedy": 1.0
    }
    for changed, message in (
        ({"first": ours["first"] + 2e-3}, "`first` other"),
        ({"losses": ours["losses"] + np.nan}, "`losses` other .*nan"),
        ({"greedy": np.where(tokens < 9, 0, tokens)}, "same=0.96"),
        ({"beam": tokens[:, :99]}, "as many tokens"),
    ):
        with pytest.raises(RuntimeError, match=message):
            _agreement.compare_searches("other", ours, ours | changed)


def test_numbers_and_cells(setting):
    # The last round was disturbed, for all alike.
    seconds = {
        "greedy": {"ours": [0.1, 0.1, 0.9], "peer": [0.2, 0.2, 1.8]},
        "train": {"ours": [0.7, 0.7, 1.4]},
    }
    numbers = tables.summarise(seconds, setting)
    kinds = list(seconds)
    titles = tables.header(kinds)
    assert titles[:4] == [
        *("implementation", "greedy", "tokens/s", "ours is faster by")
    ]
    assert tables.row("ours", numbers["ours"], kinds) == [
        *("ours", "100 ms", "140", "1.00"),
        *("700 ms", "20", "1.00"),
    ]
    cells = tables.row("peer", numbers["peer"], kinds)
    assert cells == ["peer", "200 ms", "70", "2.00", "", "", ""]
    assert len(cells) == len(titles)


def test_the_faster_of_each_way_counts():
    numbers = tables.summarise_cache(
        {
            "greedy": {"ours": [0.3, 0.3], "ours-without-xla": [0.1, 0.2]},
            "whole prefix": {
                "ours": [0.6, 1.2],
                "ours-without-xla": [0.4, 0.8],
            },
        }
    )
    assert numbers["ratio"] == pytest.approx(4)
    cells = tables.cache_row(32, numbers)
    assert cells == [32, "300 ms", "150 ms", "900 ms", "600 ms", "4.00"]
    assert len(cells) == len(tables.LENGTHS_HEADER)


class StandIn:
    """Stands in for a worker; all that it does takes a second."""

    def __init__(self, name, setting, folder=None):
        self.tokens = np.full((setting.batch_size, setting.target_length), 5)
        assert (name != decoding.CTRANSLATE2) or folder

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        pass

    def call(self, method, path=None, **options):
        if method == "translate":
            np.save(path, self.tokens)
        elif method == "first_step":
            np.save(path, np.zeros((2, 9)))
        return {"losses": [2.0, 1.5, 1.25], "time": 1.0}.get(method)


def test_the_whole_table(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(decoding, "start", StandIn)
    path = tmp_path / "decoding.json"
    arguments = ["--json", str(path), "--cache-lengths", "3", "9"]
    decoding.main([*arguments, "--repeats", "2"])
    printed = capsys.readouterr().out
    assert "| ctranslate2 | 1000 ms | 2,048 | 1.00 |" in printed
    assert "transformers, greedy 100.00%" in printed
    assert "| 9 | 1,000 ms | 1,000 ms | 1,000 ms | 1,000 ms | 1.00 |" in printed
    found = json.loads(path.read_text("utf-8"))
    assert found["setting"] == {
        **dataclasses.asdict(common.Setting()),
        "threads": found["setting"]["threads"],
    }
    assert found["seconds"]["train"]["transformers"] == [1.0, 1.0]
    assert found["lengths"]["3"]["ratio"] == 1.0

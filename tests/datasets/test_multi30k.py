import gzip
import hashlib

import pytest

import datasets
from datasets import multi30k

LINES = {
    "train": {
        "en": "Two dogs .\nA man\u2028waits.\r\n  He is old.\n",
        "fr": "Deux chiens .\nUn homme attend.\nIl est vieux.\n",
        "de": "Zwei Hunde.\nEin Mann wartet.\nEr ist alt.",
    },
    "val": {"en": "Snow.\n", "fr": "Neige.\n", "de": "Schnee.\n"},
    "test_2016_flickr": {"en": "Ice\n\n", "fr": "Glace\n\n", "de": "Eis\n\n"},
}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "multi30k").mkdir()
    for stem, languages in LINES.items():
        for language, text in languages.items():
            write(tmp_path, f"{stem}.{language}", text.encode())
    return tmp_path


def write(folder, name, content):
    path = folder / "multi30k" / f"{name}.gz"
    path.write_bytes(gzip.compress(content))
    return path


def texts(split):
    return [
        (example["source"].decode(), example["target"].decode())
        for example in split.as_numpy_iterator()
    ]


def test_lines_are_kept_raw(folder):
    loaded = datasets.load("multi30k_en_de", data_dir=folder)
    assert (loaded.source_language, loaded.target_language) == ("en", "de")
    assert texts(loaded.splits["train"]) == [
        ("Two dogs .", "Zwei Hunde."),
        ("A man\u2028waits.", "Ein Mann wartet."),
        ("  He is old.", "Er ist alt."),
    ]
    assert texts(loaded.splits["validation"]) == [("Snow.", "Schnee.")]
    assert texts(loaded.splits["test"]) == [("Ice", "Eis"), ("", "")]
    assert loaded.splits["train"].cardinality() == 3


def test_french(folder):
    loaded = datasets.load("multi30k_en_fr", data_dir=folder)
    assert loaded.target_language == "fr"
    assert texts(loaded.splits["train"])[0] == ("Two dogs .", "Deux chiens .")


def test_the_folder_of_the_variable(folder, monkeypatch):
    monkeypatch.setenv("ATTENTION_ZOO_DATA", str(folder))
    loaded = datasets.load("multi30k_en_fr")
    assert loaded.splits["validation"].cardinality() == 1


def test_different_numbers_of_lines(folder):
    write(folder, "val.fr", b"Neige.\nGlace.\n")
    with pytest.raises(
        datasets.DataError, match=r"val\.en\.gz with 1, .*val\.fr\.gz with 2"
    ):
        datasets.load("multi30k_en_fr", data_dir=folder)


def test_invalid_utf8(folder):
    write(folder, "train.en", b"Fine\nNot \xff fine\nFine\n")
    with pytest.raises(
        datasets.DataError,
        match=r"train\.en\.gz, line 2: not valid UTF-8 \(byte 5 ",
    ):
        datasets.load("multi30k_en_fr", data_dir=folder)


@pytest.mark.parametrize(
    "content", [b"no gzip", gzip.compress(b"x" * 99, mtime=0)[:-9]]
)
def test_not_gzip(folder, content):
    (folder / "multi30k" / "train.fr.gz").write_bytes(content)
    with pytest.raises(datasets.DataError, match=r"gzip.*train\.fr\.gz"):
        datasets.load("multi30k_en_fr", data_dir=folder)


def test_each_file_has_a_checksum():
    names = {
        f"{stem}.{language}"
        for stem in LINES
        for language in ("en", "fr", "de")
    }
    assert multi30k._SHA256.keys() == names
    assert len(set(multi30k._SHA256.values())) == 9
    assert {len(x) for x in multi30k._SHA256.values()} == {
        2 * hashlib.sha256().digest_size
    }

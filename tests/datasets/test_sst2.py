import pytest

import datasets
from datasets import sst2

LINES = {
    "train.tsv": 'a "funny" film\t1\ndull\t0\r\nit \'s\u2028so-so\t1\n',
    "dev.tsv": "fine\t1\n",
    "test.tsv": "bad\t0\n",
}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "sst2").mkdir()
    for name, text in LINES.items():
        (tmp_path / "sst2" / name).write_bytes(text.encode())
    return tmp_path


def test_sentences(folder):
    loaded = datasets.load("sst2", data_dir=folder)
    assert loaded.task == "text_classification"
    assert loaded.class_names == ("negative", "positive")
    splits = {
        name: [
            (example["text"].decode(), int(example["label"]))
            for example in split.as_numpy_iterator()
        ]
        for name, split in loaded.splits.items()
    }
    assert splits == {
        "train": [('a "funny" film', 1), ("dull", 0), ("it 's\u2028so-so", 1)],
        "validation": [("fine", 1)],
        "test": [("bad", 0)],
    }


@pytest.mark.parametrize(
    "line, message",
    [
        (b"alone\n", r"line 4: a sentence, a tab and 0 or 1 .*'alone'"),
        (b"x\t2\n", r"line 4: a sentence"),
        (b" \t1\n", r"line 4: a sentence"),
        (b"\n", r"line 4: a sentence"),
        (b"\xff\t1\n", r"line 4: not valid UTF-8"),
    ],
)
def test_bad_lines(folder, line, message):
    path = folder / "sst2" / "train.tsv"
    path.write_bytes(path.read_bytes() + line)
    with pytest.raises(datasets.DataError, match=message) as error:
        datasets.load("sst2", data_dir=folder)
    assert str(path) in str(error.value)


def test_each_file_has_a_checksum():
    assert sst2._SHA256.keys() == LINES.keys()
    assert {len(x) for x in sst2._SHA256.values()} == {64}

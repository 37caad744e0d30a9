import itertools
import zipfile

import pytest

import datasets
from datasets import tatoeba

# Three translations of each of 20 sentences, sorted by length.
PAIRS = [
    (f"Sentence {'very ' * number}long.", f"Phrase {number}, {version}.")
    for number in range(20)
    for version in range(3)
]
TEXT = "".join(f"{source}\t{target}\n" for source, target in PAIRS)


def write(folder, content, member="fra.txt"):
    path = folder / "tatoeba" / "fra-eng.zip"
    path.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("_about.txt", "About")
        archive.writestr(member, content)
    return path


def load(folder, **options):
    options = {"num_validation": 3, "num_test": 4} | options
    loaded = datasets.load("tatoeba_en_fr", data_dir=folder, **options)
    return {
        name: [
            (example["source"].decode(), example["target"].decode())
            for example in split.as_numpy_iterator()
        ]
        for name, split in loaded.splits.items()
    }


def test_splits_by_source_sentence(tmp_path):
    write(tmp_path, TEXT)
    splits = load(tmp_path)
    assert {name: len(pairs) for name, pairs in splits.items()} == {
        "train": 39,
        "validation": 9,
        "test": 12,
    }
    assert sorted(itertools.chain(*splits.values())) == sorted(PAIRS)
    sources = [{source for source, _ in pairs} for pairs in splits.values()]
    assert sum(map(len, sources)) == 20


def test_the_order_is_shuffled_by_the_seed(tmp_path):
    write(tmp_path, TEXT)
    first, again, other = (load(tmp_path, seed=seed) for seed in (0, 0, 1))
    assert first == again
    assert first != other
    lengths = [len(source) for source, _ in first["train"]]
    assert lengths != sorted(lengths)


def test_a_third_column_is_left_out(tmp_path):
    write(tmp_path, TEXT.replace("\n", "\tCC-BY 2.0 (France)\n"))
    assert sorted(itertools.chain(*load(tmp_path).values())) == sorted(PAIRS)


@pytest.mark.parametrize("line", ["no tab", "\tVa !", "Go.\t", "Go.\t "])
def test_a_missing_side(tmp_path, line):
    write(tmp_path, TEXT + line)
    with pytest.raises(datasets.DataError, match=r"fra\.txt, line 61: .*tab"):
        load(tmp_path)


def test_invalid_utf8(tmp_path):
    write(tmp_path, b"Go.\tVa !\nRun!\tCour\xe9\n")
    with pytest.raises(datasets.DataError, match=r"fra\.txt, line 2: .*UTF-8"):
        load(tmp_path)


def test_too_few_sentences(tmp_path):
    write(tmp_path, TEXT)
    with pytest.raises(datasets.DataError, match="Received: 20 different"):
        load(tmp_path, num_test=17)


def test_another_archive(tmp_path):
    path = write(tmp_path, TEXT, "deu.txt")
    with pytest.raises(datasets.DataError, match=f"no file fra.txt.*{path}"):
        load(tmp_path)
    path.write_bytes(b"no archive")
    with pytest.raises(datasets.DataError, match="Cannot be read as a zip"):
        load(tmp_path)


def test_an_archive_that_unpacks_to_too_much(tmp_path, monkeypatch):
    write(tmp_path, TEXT)
    monkeypatch.setattr(tatoeba, "_MEMBER_SIZE_LIMIT", 1000)
    with pytest.raises(
        datasets.DataError, match=f"1000 bytes. Received: {len(TEXT.encode())}"
    ):
        load(tmp_path)


def test_an_archive_that_lies_about_its_size(tmp_path):
    path = write(tmp_path, TEXT)
    size = len(TEXT.encode()).to_bytes(4, "little")
    content = path.read_bytes()
    assert content.count(size) == 2
    path.write_bytes(content.replace(size, (100).to_bytes(4, "little")))
    with pytest.raises(datasets.DataError, match="Cannot be read as a zip"):
        load(tmp_path)

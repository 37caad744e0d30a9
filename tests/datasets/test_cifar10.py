import gzip
import io
import tarfile

import numpy as np
import pytest

import datasets
from datasets import cifar10

NAMES = (
    *(f"data_batch_{number}.bin" for number in range(1, 6)),
    "test_batch.bin",
)
PER_FILE = 1003


@pytest.fixture(autouse=True)
def small_files(monkeypatch):
    monkeypatch.setattr(cifar10, "_RECORDS_OF_A_FILE", PER_FILE)


def record(number):
    """Red grows with the columns, green with the rows; blue is a number."""
    rows, columns = np.mgrid[:32, :32]
    planes = columns, rows + 100, np.full((32, 32), number % 251)
    label = bytes([number % 10])
    return label + b"".join(plane.astype("uint8").tobytes() for plane in planes)


@pytest.fixture(scope="module")
def batches():
    return {
        f"cifar-10-batches-bin/{name}": b"".join(
            record(PER_FILE * file + number) for number in range(PER_FILE)
        )
        for file, name in enumerate(NAMES)
    }


@pytest.fixture
def write(tmp_path):
    (tmp_path / "cifar10").mkdir()

    def write(files):
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            for name, content in files.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
        path = tmp_path / "cifar10" / "cifar-10-binary.tar.gz"
        path.write_bytes(gzip.compress(packed.getvalue(), compresslevel=1))
        return tmp_path

    return write


def test_splits(write, batches):
    other = {"cifar-10-batches-bin/readme.html": b"<html>", "../evil": b"x"}
    folder = write({**other, **batches})
    loaded = datasets.load("cifar10", data_dir=folder)
    assert loaded.task == "image_classification"
    assert loaded.class_names[3] == "cat"
    sizes = {name: int(x.cardinality()) for name, x in loaded.splits.items()}
    num_train = 5 * PER_FILE - 5000
    assert sizes == {
        "train": num_train,
        "validation": 5000,
        "test": PER_FILE,
    }
    firsts = {
        "train": 0,
        "validation": num_train,
        "test": 5 * PER_FILE,
    }
    rows, columns = np.mgrid[:32, :32]
    for name, first in firsts.items():
        split = list(loaded.splits[name].as_numpy_iterator())
        for number, example in list(enumerate(split, first))[::601]:
            image = example["image"]
            assert image.shape == (32, 32, 3)
            assert image.dtype == np.uint8
            assert example["label"] == number % 10
            np.testing.assert_array_equal(image[..., 0], columns)
            np.testing.assert_array_equal(image[..., 1], rows + 100)
            assert (image[..., 2] == number % 251).all()


@pytest.mark.parametrize(
    "change, message",
    [
        ({"test_batch.bin": None}, r"lacks files .*: test_batch\.bin\."),
        ({"data_batch_2.bin": b"x"}, r"data_batch_2\.bin.* Received: 1 bytes"),
        (
            {"data_batch_3.bin": bytes([10]) * (PER_FILE * 3073)},
            r"data_batch_3\.bin: labels .* Received: label=10",
        ),
    ],
)
def test_bad_archives(write, batches, change, message):
    files = dict(batches)
    for name, content in change.items():
        del files[f"cifar-10-batches-bin/{name}"]
        if content is not None:
            files[f"cifar-10-batches-bin/{name}"] = content
    with pytest.raises(datasets.DataError, match=message):
        datasets.load("cifar10", data_dir=write(files))


def test_no_archive(write, batches):
    folder = write(batches)
    path = folder / "cifar10" / "cifar-10-binary.tar.gz"
    whole = path.read_bytes()
    for content in (b"no archive", whole[: len(whole) // 2], b""):
        path.write_bytes(content)
        with pytest.raises(datasets.DataError, match=r"Cannot be read.*tar"):
            datasets.load("cifar10", data_dir=folder)


def test_the_checksum_is_the_published_one():
    assert cifar10._CHECKSUM == "md5:c32a1d4ab5d03f1284b67883e8d87530"

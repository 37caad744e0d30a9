import gzip
import struct

import numpy as np
import pytest

import datasets
from datasets import fashion_mnist

NUM_TRAIN, NUM_TEST = 5004, 3


def idx(values):
    """Values in the form IDX, as its description says."""
    header = bytes([0, 0, 8, values.ndim])
    return (
        header
        + struct.pack(f">{values.ndim}I", *values.shape)
        + bytes(values.astype("uint8"))
    )


def pixels(number):
    """A picture that can be told from others, not symmetric."""
    return np.arange(784).reshape(28, 28) * 3 + number


@pytest.fixture(scope="module")
def content():
    files = {}
    for part, size in (("train", NUM_TRAIN), ("t10k", NUM_TEST)):
        images = np.stack([pixels(number) % 256 for number in range(size)])
        files[f"{part}-images-idx3-ubyte.gz"] = idx(images)
        files[f"{part}-labels-idx1-ubyte.gz"] = idx(np.arange(size) % 10)
    return {
        name: gzip.compress(data, compresslevel=1)
        for name, data in files.items()
    }


@pytest.fixture
def folder(tmp_path, content):
    (tmp_path / "fashion_mnist").mkdir()
    for name, data in content.items():
        (tmp_path / "fashion_mnist" / name).write_bytes(data)
    return tmp_path


def test_splits(folder):
    loaded = datasets.load("fashion_mnist", data_dir=folder)
    assert loaded.task == "image_classification"
    assert loaded.class_names[9] == "Ankle boot"
    assert len(loaded.class_names) == 10
    splits = {
        name: list(split.as_numpy_iterator())
        for name, split in loaded.splits.items()
    }
    assert {name: len(x) for name, x in splits.items()} == {
        "train": 4,
        "validation": 5000,
        "test": 3,
    }
    for name, first in (("train", 0), ("validation", 4), ("test", 0)):
        for number, example in list(enumerate(splits[name], first))[::701]:
            assert example["label"] == number % 10
            assert example["image"].dtype == np.uint8
            np.testing.assert_array_equal(
                example["image"][..., 0], pixels(number) % 256
            )


def _packed(data):
    """As gzip, without the time of day, which would be in names of tests."""
    return gzip.compress(data, mtime=0)


@pytest.mark.parametrize(
    "name, data, message",
    [
        ("train-images-idx3-ubyte.gz", b"no gzip", "Cannot be read as gzip"),
        (
            "t10k-labels-idx1-ubyte.gz",
            _packed(idx(np.zeros((3, 1)))),
            r"with 1 axes .*begins with '00000802'",
        ),
        ("t10k-labels-idx1-ubyte.gz", _packed(b"\0\0"), "begins with"),
        (
            "t10k-labels-idx1-ubyte.gz",
            _packed(idx(np.zeros(3))[:-1]),
            r"says \[3\], which are 3 bytes\. Received: 2 bytes",
        ),
        (
            "t10k-labels-idx1-ubyte.gz",
            _packed(idx(np.zeros(4))),
            r"\(3, 28, 28\), .*\(4,\)",
        ),
        (
            "t10k-labels-idx1-ubyte.gz",
            _packed(idx(np.array([0, 10, 1]))),
            "Received: label=10",
        ),
        (
            "t10k-images-idx3-ubyte.gz",
            _packed(idx(np.zeros((3, 27, 28)))),
            "28 by 28 pixels",
        ),
        (
            "train-images-idx3-ubyte.gz",
            _packed(idx(np.zeros((3, 28, 28)))),
            r"\(3, 28, 28\), .*\(5004,\)",
        ),
    ],
)
def test_bad_files(folder, name, data, message):
    (folder / "fashion_mnist" / name).write_bytes(data)
    with pytest.raises(datasets.DataError, match=message) as error:
        datasets.load("fashion_mnist", data_dir=folder)
    assert name in str(error.value)


def test_nothing_left_to_train_on(folder):
    for name, values in (
        ("train-images-idx3-ubyte.gz", np.zeros((5000, 28, 28))),
        ("train-labels-idx1-ubyte.gz", np.zeros(5000)),
    ):
        path = folder / "fashion_mnist" / name
        path.write_bytes(gzip.compress(idx(values), compresslevel=1))
    with pytest.raises(datasets.DataError, match="More than 5000"):
        datasets.load("fashion_mnist", data_dir=folder)


def test_each_file_has_a_checksum(content):
    assert fashion_mnist._SHA256.keys() == content.keys()
    assert {len(x) for x in fashion_mnist._SHA256.values()} == {64}

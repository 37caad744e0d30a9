"""Pictures in files, from the folder to the batches."""

import dataclasses
import os

import numpy as np
import PIL.Image
import pytest

import datasets
from datasets import DataError
from training.image_classification_task import ImageClassificationTask


@pytest.fixture
def folder(tmp_path):
    """Ten pictures of each of two classes, in names of unlike lengths."""
    for label in ("a", "b"):
        (tmp_path / "pictures" / label).mkdir(parents=True)
        for number in range(10):
            shade = 20 * number + 9 * (label == "a")
            image = PIL.Image.new("RGB", (9 + number, 12), (shade, 99, 5))
            path = tmp_path / "pictures" / label / f"{'x' * number}1.jpg"
            image.save(path)
            # A decoder stops at the end of the picture.
            path.write_bytes(path.read_bytes() + bytes(3))
    return tmp_path / "pictures"


@pytest.fixture
def task(folder):
    return ImageClassificationTask(datasets.load(f"images:{folder}"))


@pytest.fixture
def preprocessor(task):
    return task.train_preprocessor(
        {"height": 8, "width": 6, "channels": 0, "interpolation": "bilinear"}
    )


def test_paths_are_held_and_contents_are_whole(task, folder):
    seen = 0
    for split in task.splits.values():
        assert split.images.dtype == object and split.are_paths
        for row, content in enumerate(split.select(slice(None)).numpy()):
            path = os.fsdecode(split.images[row])
            with open(path, "rb") as file:
                assert file.read() == content
            assert content.endswith(bytes(3))
            assert split.labels[row] == "ab".index(path.split(os.sep)[-2])
            assert split.describe(row) == {"path": path}
            seen += 1
    assert seen == 20


def test_no_file_is_read_to_know_the_examples(task):
    unreadable = dict.fromkeys(task.loaded.splits)
    again = ImageClassificationTask(
        dataclasses.replace(task.loaded, splits=unreadable)
    )
    for name, split in again.splits.items():
        np.testing.assert_array_equal(split.images, task.splits[name].images)


@pytest.mark.parametrize("damage", ["removed", "cut off"])
def test_a_file_that_became_unreadable_is_named(task, preprocessor, damage):
    path = os.fsdecode(task.splits["test"].images[0])
    batches = task.evaluation_batches(preprocessor, "test")
    assert len(list(batches.with_rows())) == 1
    if damage == "removed":
        os.remove(path)
        with pytest.raises(DataError, match=r"No such file.*1\.jpg"):
            task.splits["test"].select([0])
    else:
        os.truncate(path, 200)
    with pytest.raises(DataError, match="A picture can't be read") as error:
        list(batches.with_rows())
    assert path in str(error.value)


def test_fingerprints_are_of_contents_and_classes(task, folder):
    before = task.fingerprints
    for path in folder.rglob("*.jpg"):
        path.rename(path.with_name(f"{len(path.name)}.jpg"))
    again = ImageClassificationTask(datasets.load(f"images:{folder}"))
    assert again.fingerprints == before
    (folder / "b").rename(folder / "c")
    other = ImageClassificationTask(datasets.load(f"images:{folder}"))
    assert not set(other.fingerprints.values()) & set(before.values())

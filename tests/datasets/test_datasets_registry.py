import inspect

import pytest
import tensorflow as tf

import datasets
from datasets import _registry

NAMES = [
    "multi30k_en_de",
    "multi30k_en_fr",
    "phrases",
    "tatoeba_en_fr",
    "tsv:PATH",
]


def test_all_names_are_registered():
    assert datasets.list_datasets() == NAMES


@pytest.mark.parametrize("name", ["phrases", "multi30k_en_de", "tsv:a/b:c"])
def test_options_are_documented(name):
    function = datasets.loader(name)
    assert function.__name__ == name.partition(":")[0]
    for option in inspect.signature(function).parameters:
        assert f"        {option}: " in function.__doc__


def test_a_path_is_bound():
    assert datasets.loader("tsv:a/b:c").args == ("a/b:c",)
    assert "path" not in inspect.signature(datasets.loader("tsv:a")).parameters


def test_loaded_dataset():
    loaded = datasets.load("phrases", num_train=5, num_validation=0, num_test=2)
    assert loaded.name == "phrases"
    assert loaded.task == "translation"
    assert (loaded.source_language, loaded.target_language) == ("en", "fr")
    assert list(loaded.splits) == ["train", "validation", "test"]
    for split in loaded.splits.values():
        assert isinstance(split, tf.data.Dataset)
    assert loaded.splits["train"].cardinality() == 5
    assert loaded.splits["test"].cardinality() == 2


@pytest.mark.parametrize(
    "name, message",
    [
        ("prases", r"mean 'phrases'\? Known: multi30k.*name='prases'"),
        ("tsv:", r"path must follow .* Received: path=''"),
        ("tsv:PATH", r"path must follow .* Received: path='PATH'"),
        ("csv:x", r"Unknown data set\..*name='csv:x'"),
        ("phrases:x", r"Unknown data set\..*name='phrases:x'"),
    ],
)
def test_unknown_name(name, message):
    with pytest.raises(ValueError, match=message):
        datasets.load(name)


def test_unknown_option():
    with pytest.raises(
        ValueError, match=r"mean 'num_train'\?.*Received: option='num_trian'"
    ):
        datasets.load("phrases", num_trian=3)


def test_one_name_for_two_loaders():
    with pytest.raises(ValueError, match="Received: name='phrases'"):
        _registry.register("phrases")(print)

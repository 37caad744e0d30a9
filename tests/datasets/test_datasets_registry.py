import inspect

import pytest
import tensorflow as tf

import datasets
from datasets import _registry

NAMES = [
    "cifar10",
    "csv:PATH",
    "digits",
    "fashion_mnist",
    "images:DIR",
    "language_id",
    "multi30k_en_de",
    "multi30k_en_fr",
    "phrases",
    "sst2",
    "tatoeba_en_fr",
    "tsv:PATH",
]


def test_all_names_are_registered():
    assert datasets.list_datasets() == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_options_are_documented(name):
    name = name.replace("PATH", "a/b:c").replace("DIR", "a/b:c")
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
        ("prases", r"mean 'phrases'\? Known: cifar10.*name='prases'"),
        ("tsv:", r"path must follow .* Received: path=''"),
        ("tsv:PATH", r"path must follow .* Received: path='PATH'"),
        ("images:DIR", r"path must follow .* Received: path='DIR'"),
        ("xml:x", r"Unknown data set\..*name='xml:x'"),
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


@pytest.mark.parametrize(
    "task, class_names, message",
    [
        ("captions", (), r"one of translation, .* Received: task='captions'"),
        ("translation", ("a", "b"), r"translation has none.*\('a', 'b'\)"),
        ("text_classification", (), r"at least two .*class_names=\(\)"),
        ("image_classification", ("a",), r"at least two .*\('a',\)"),
    ],
)
def test_a_task_and_its_classes(task, class_names, message):
    with pytest.raises(ValueError, match=message):
        datasets.LoadedDataset(
            name="x",
            task=task,
            description="",
            class_names=class_names,
            splits={},
        )


def test_a_source_named_like_a_module_of_python_does_not_hide_it():
    import csv

    assert csv is not datasets.csv
    assert datasets._separated.csv is csv

"""A user's own pictures: a folder for each class."""

import os
import pathlib

import tensorflow as tf

from datasets._classes import note_on_too_few
from datasets._classes import split_by_class
from datasets._errors import DataError
from datasets._image_files import check_files
from datasets._image_files import ImageFile
from datasets._image_files import SUFFIXES
from datasets._paths import user_path
from datasets._registry import LoadedDataset
from datasets._registry import register


@register("images:DIR")
def images(
    path: str,
    validation_path: str | None = None,
    test_path: str | None = None,
    validation_fraction: float = 0.1,
    test_fraction: float = 0.1,
    seed: int = 0,
):
    """Loads pictures from a folder that has one folder for each class.

    `DIR/cat/1.png` and `DIR/cat/more/2.jpg` are of the class `cat`. Pictures
    are PNG or JPEG, of any size, in colour or grey; files whose names end
    otherwise are passed over and counted, hidden ones are not looked at. All
    pictures are decoded once; those that cannot be are left out, and named
    in the notes.

    Args:
        path: The folder.
        validation_path: Folder of the pictures for validation, of the same
            form. Without it, a part of `path` is held out.
        test_path: Folder of the pictures for the test, likewise.
        validation_fraction: About the share of the different pictures of
            each class of `path` that is held out for validation if there is
            no `validation_path`.
        test_fraction: About the share that is held out for the test, likewise.
        seed: Seed by which pictures are held out.

    Returns:
        A `LoadedDataset`. The classes are the folders in `path`, sorted. An
        image is the bytes of its file, read when it is its turn; an example
        has its `path`, too, a string. The split of a picture depends on its
        content and the seed alone, so it stays where it is when others are
        added (but each class of 3 different pictures or more has one at least
        in each split). Copies of one file in `path` are in the same split.

    Raises:
        DataError: A folder does not exist; there are fewer than two classes;
            a class has no picture that can be read, or too few; or a folder
            for validation or test has a class that `path` lacks.
    """
    folders = {"train": path, "validation": validation_path, "test": test_path}
    fractions = {"test": test_fraction, "validation": validation_fraction}
    names = _class_names(path)
    if len(names) < 2:
        raise DataError(
            "A folder for each of at least two classes is needed. "
            f"Received: path={str(path)!r} with {names}"
        )
    notes, files = [], {}
    for split, folder in folders.items():
        if folder is not None:
            files[split] = _readable_files(folder, names, notes)
    labels = [file.label for file in files["train"]]
    _check_each_class(path, names, labels)
    chosen, too_few = split_by_class(
        labels,
        [file.content_hash for file in files["train"]],
        {name: x for name, x in fractions.items() if name not in files},
        seed,
    )
    splits = {
        **files,
        **{
            split: [files["train"][number] for number in numbers]
            for split, numbers in chosen.items()
        },
    }
    return LoadedDataset(
        name=f"images:{path}",
        task="image_classification",
        description=f"Pictures with classes from {pathlib.Path(path).name}.",
        class_names=tuple(names),
        notes=(*notes, *note_on_too_few([names[label] for label in too_few])),
        splits={
            split: _dataset(splits[split])
            for split in ("train", "validation", "test")
        },
        files=splits,
    )


def _class_names(path):
    """Returns the names of the folders in a folder, sorted."""
    path = user_path(path)
    try:
        names = sorted(
            entry.name
            for entry in path.iterdir()
            if entry.is_dir() and not entry.name.startswith(".")
        )
    except OSError as error:
        raise DataError(
            f"The folder cannot be read: {error}. Received: path={str(path)!r}"
        ) from error
    for name in names:
        if _shown(name) != name:
            raise DataError(
                f"{path}: the name of a class must be UTF-8. "
                f"Received: {os.fsencode(name)!r}"
            )
    return names


def _shown(path):
    """Returns a path as text; bytes that are no UTF-8 become U+FFFD."""
    return os.fsencode(path).decode("utf-8", "replace")


def _readable_files(path, names, notes):
    """Returns the `ImageFile` of each picture; adds to the notes."""
    path = user_path(path)
    own = _class_names(path)
    unknown = sorted(set(own) - set(names))
    if unknown or not own:
        raise DataError(
            f"{path}: folders of the classes {', '.join(map(repr, names))} "
            "are needed; of no other is there anything to train on. "
            f"Received: {unknown}"
        )
    files, num_others = [], 0
    for name in own:
        for file in _files_below(path / name):
            if file.suffix.lower() in SUFFIXES:
                files.append((file, names.index(name)))
            else:
                num_others += 1
    if num_others:
        notes.append(
            f"{path}: {num_others} files are passed over, whose names end "
            f"with none of {', '.join(SUFFIXES)}."
        )
    checked = check_files([file for file, _ in files])
    broken = [file for file in checked if file.fault]
    if broken:
        notes.append(
            f"{path}: {len(broken)} of {len(files)} pictures cannot be read "
            "and are left out:"
        )
        notes += [f"{_shown(file.path)}: {file.fault}" for file in broken]
    return [
        ImageFile(file, label, found.content_hash)
        for (file, label), found in zip(files, checked)
        if not found.fault
    ]


def _files_below(folder):
    """Yields the files in a folder and in those within it, sorted; links are
    followed, no folder twice."""
    seen = set()
    for parent, folders, files in os.walk(
        folder, onerror=_unreadable, followlinks=True
    ):
        folders[:] = sorted(x for x in folders if not x.startswith("."))
        real = os.path.realpath(parent)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        for name in sorted(files):
            if not name.startswith("."):
                yield pathlib.Path(parent, name)


def _unreadable(error):
    raise DataError(
        f"A folder of pictures cannot be read: {error.strerror}. "
        f"Received: {error.filename}"
    ) from error


def _check_each_class(path, names, labels):
    empty = [name for number, name in enumerate(names) if number not in labels]
    if empty:
        raise DataError(
            f"{path}: each class needs pictures that can be read. Received: "
            f"none in {', '.join(map(repr, empty))}"
        )


def _dataset(files):
    paths = tf.constant([os.fsencode(file.path) for file in files], tf.string)
    labels = tf.constant([file.label for file in files], tf.int32)
    examples = tf.data.Dataset.from_tensor_slices((paths, labels))
    return examples.map(
        lambda path, label: {
            "image": tf.io.read_file(path),
            "label": label,
            "path": path,
        },
        num_parallel_calls=tf.data.AUTOTUNE,
    )

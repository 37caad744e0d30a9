import io
import os
import pathlib

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

import datasets
from datasets import _image_files
from preprocessing import images as decoding


def picture(number, form="PNG", mode="RGB", size=(5, 7)):
    """The bytes of a picture, another one for each number."""
    pixels = np.full((*size, 3), number, "uint8")
    file = io.BytesIO()
    PIL.Image.fromarray(pixels).convert(mode).save(file, form)
    return file.getvalue()


def sixteen_bits():
    file = io.BytesIO()
    PIL.Image.fromarray(np.full((3, 4), 999, "uint16")).save(file, "PNG")
    return file.getvalue()


def write(folder, files):
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def twenty(name, first=0):
    return {
        f"{name}/{number}.png": picture(first + number) for number in range(20)
    }


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "set", {**twenty("cat"), **twenty("dog", 100)})
    return tmp_path / "set"


def load(folder, **options):
    return datasets.load(f"images:{folder}", **options)


def rows(loaded):
    return {
        name: [
            (
                example["path"].decode(),
                loaded.class_names[example["label"]],
                example["image"],
            )
            for example in split.as_numpy_iterator()
        ]
        for name, split in loaded.splits.items()
    }


def everything(loaded):
    return [row for split in rows(loaded).values() for row in split]


def test_splits(folder):
    loaded = load(folder, test_fraction=0.2)
    assert loaded.name == f"images:{folder}"
    assert loaded.task == "image_classification"
    assert loaded.class_names == ("cat", "dog")
    assert loaded.notes == ()
    splits = rows(loaded)
    for split in splits.values():
        assert {label for _, label, _ in split} == {"cat", "dog"}
    assert loaded.splits["train"].cardinality() == len(splits["train"])
    found = {(path, label) for path, label, _ in everything(loaded)}
    assert len(found) == 40
    assert (str(folder / "dog" / "7.png"), "dog") in found
    for path, _, content in everything(loaded):
        assert pathlib.Path(path).read_bytes() == content
    assert rows(loaded) == rows(load(folder, test_fraction=0.2))
    assert rows(loaded) != rows(load(folder, test_fraction=0.2, seed=1))


def test_pictures_may_be_added(folder):
    before = rows(load(folder))
    write(
        folder,
        {f"cat/0{number}.png": picture(200 + number) for number in range(9)},
    )
    after = rows(load(folder))
    for name, split in before.items():
        assert set(split) <= set(after[name])


def test_all_kinds_of_pictures(folder):
    kinds = {
        "cat/a.JPG": picture(1, "JPEG"),
        "cat/grey.jpeg": picture(1, "JPEG", "L"),
        "cat/grey.png": picture(1, mode="L"),
        "cat/alpha.png": picture(1, mode="RGBA"),
        "cat/sixteen.png": sixteen_bits(),
        "cat/below/that/deep.png": picture(77),
        "cat/misnamed.png": picture(2, "JPEG"),
        "cat/pixel.png": picture(3, size=(1, 1)),
    }
    hidden = {
        "cat/.hidden.png": b"",
        ".hidden/x.png": picture(9),
        "cat/.below/x.png": picture(9),
    }
    others = {"cat/notes.txt": b"", "dog/anim.gif": b"", "readme": b""}
    write(folder, {**kinds, **hidden, **others})
    loaded = load(folder)
    (note,) = loaded.notes
    assert "2 files are passed over" in note
    assert loaded.class_names == ("cat", "dog")
    found = {
        path: (label, content) for path, label, content in everything(loaded)
    }
    assert len(found) == 40 + len(kinds)
    for name, content in kinds.items():
        assert found[str(folder / name)] == ("cat", content)


def test_broken_files_are_named_and_counted(folder):
    whole = picture(5)
    write(
        folder,
        {
            "cat/empty.png": b"",
            "cat/text.png": b"this is no picture",
            "dog/cut.png": whole[:-20],
            "dog/gif.jpg": picture(1, "GIF"),
        },
    )
    loaded = load(folder)
    assert len(everything(loaded)) == 40
    summary, *named = loaded.notes
    assert "4 of 44 pictures cannot be read" in summary
    assert [note.removeprefix(f"{folder}/") for note in named] == [
        "cat/empty.png: it is empty",
        "cat/text.png: it is neither PNG nor JPEG",
        "dog/cut.png: it is damaged or cut off",
        "dog/gif.jpg: it is neither PNG nor JPEG",
    ]


def test_what_is_left_out_is_what_the_graph_cannot_read():
    assert _image_files.MOST_PIXELS == decoding.MOST_PIXELS
    png, jpeg = picture(9), picture(9, "JPEG")
    contents = [
        *(png[:length] for length in range(0, len(png) + 1, 3)),
        *(jpeg[:length] for length in range(0, len(jpeg) + 1, 9)),
        *(
            png,
            jpeg,
            sixteen_bits(),
            b"text",
            picture(1, "BMP"),
            png[:8] + jpeg,
        ),
        *(
            picture(1, form, mode)
            for form, mode in [("PNG", "P"), ("JPEG", "CMYK")]
        ),
    ]
    _, valid = decoding.decode_images(tf.constant(contents), (4, 4))
    faults = list(map(_image_files.image_fault, contents))
    assert [not fault for fault in faults] == valid.numpy().tolist()
    assert 0 < valid.numpy().sum() < len(contents)


def test_too_many_pixels(monkeypatch):
    monkeypatch.setattr(_image_files, "MOST_PIXELS", 35)
    for form in ("PNG", "JPEG"):
        assert not _image_files.image_fault(picture(1, form, size=(5, 7)))
        fault = _image_files.image_fault(picture(1, form, size=(6, 6)))
        assert fault == "it has more than 35 pixels"


def test_copies_are_in_one_split(folder):
    for number in range(6):
        write(folder, {f"cat/copy{number}.png": picture(3)})
    splits = rows(load(folder, test_fraction=0.4))
    holders = {
        name
        for name, split in splits.items()
        for _, _, content in split
        if content == picture(3)
    }
    assert len(holders) == 1
    assert sum(map(len, splits.values())) == 46


def test_own_folders_for_validation_and_test(folder, tmp_path):
    write(tmp_path / "other", {"dog/1.png": picture(1), "dog/2.png": b"x"})
    loaded = load(folder, test_path=str(tmp_path / "other"))
    assert [row[1:] for row in rows(loaded)["test"]] == [("dog", picture(1))]
    labels = {label for _, label, _ in rows(loaded)["validation"]}
    assert labels == {"cat", "dog"}
    assert "1 of 2 pictures" in loaded.notes[0]
    write(tmp_path / "other", {"cow/1.png": picture(1)})
    with pytest.raises(datasets.DataError, match=r"'cat', 'dog'.*\['cow'\]"):
        load(folder, test_path=str(tmp_path / "other"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(datasets.DataError, match=r"'cat', 'dog'.*: \[\]"):
        load(folder, test_path=str(tmp_path / "empty"))
    with pytest.raises(datasets.DataError, match=r"cannot be read.*missing'"):
        load(folder, validation_path=str(tmp_path / "missing"))


@pytest.mark.parametrize(
    "files, message",
    [
        ({"cat/1.png": picture(1)}, r"at least two classes .*\['cat'\]"),
        ({"1.png": picture(1)}, r"at least two classes .*\[\]"),
        (
            {**twenty("cat"), "dog/1.png": b"x", "dog/2.png": b""},
            r"each class needs .* none in 'dog'",
        ),
        ({**twenty("cat"), "dog/1.txt": b""}, r"none in 'dog'"),
    ],
)
def test_bad_folders(tmp_path, files, message):
    write(tmp_path / "set", files)
    with pytest.raises(datasets.DataError, match=message) as error:
        load(tmp_path / "set")
    assert str(tmp_path / "set") in str(error.value)


def test_a_rare_class_is_noted(folder):
    write(folder, {"rare/1.png": picture(200)})
    loaded = load(folder)
    assert "'rare'" in loaded.notes[0]
    assert "rare" in [label for _, label, _ in rows(loaded)["train"]]


def test_bad_options(folder, tmp_path):
    with pytest.raises(datasets.DataError, match=r"cannot be read.*missing'"):
        load(tmp_path / "missing")
    with pytest.raises(ValueError, match="Received: test_fraction=2"):
        load(folder, test_fraction=2)
    with pytest.raises(ValueError, match="below 1"):
        load(folder, test_fraction=0.5, validation_fraction=0.5)


def test_folders_that_are_links(folder, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    write(elsewhere, {"linked.png": picture(7)})
    (folder / "cat" / "more").symlink_to(elsewhere)
    (folder / "cat" / "again").symlink_to(folder / "cat")
    before = len(everything(load(folder)))
    (folder / "cat" / "more").unlink()
    assert len(everything(load(folder))) == before - 1


def test_a_folder_that_cannot_be_read(folder, monkeypatch):
    (folder / "cat" / "shut").mkdir()
    scan = os.scandir

    def refuse(path):
        if str(path).endswith("shut"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(datasets.DataError, match=r"cannot be read: Perm.*shut"):
        load(folder)


def test_what_is_no_file_is_not_opened(folder):
    """Reading a pipe or a device would not end."""
    os.mkfifo(folder / "cat" / "pipe.png")
    (folder / "dog" / "zero.png").symlink_to("/dev/zero")
    loaded = load(folder)
    assert f"{folder / 'cat' / 'pipe.png'}: it is no file" in loaded.notes
    assert f"{folder / 'dog' / 'zero.png'}: it is no file" in loaded.notes


def test_a_file_that_fills_the_memory(folder, monkeypatch):
    monkeypatch.setattr(_image_files, "_MOST_BYTES", 10_000)
    (folder / "cat" / "large.png").write_bytes(picture(1) + bytes(10_000))
    note = f"{folder / 'cat' / 'large.png'}: it has more than 10,000 bytes"
    assert note in load(folder).notes


def test_names_that_are_no_text(folder):
    (folder / "cat" / os.fsdecode(b"\xff.png")).write_bytes(b"damaged")
    notes = load(folder).notes
    assert any("\ufffd.png: it is neither PNG nor JPEG" in x for x in notes)
    (folder / os.fsdecode(b"\xff")).mkdir()
    with pytest.raises(datasets.DataError, match=r"UTF-8. .*b'\\xff'"):
        load(folder)

import os
import stat

import pytest

from serving.atomic import new_version
from serving.atomic import versions


def _export(folder, content="x"):
    before = versions(folder)
    with new_version(folder) as version:
        (version.temporary / "model").write_text(content)
        assert versions(folder) == before
        assert not version.temporary.name.isdecimal()
    return version.path


def test_versions_count_up_and_are_never_overwritten(tmp_path):
    folder = tmp_path / "deep" / "model"
    assert _export(folder, "one") == folder / "1"
    assert _export(folder, "two") == folder / "2"
    assert (folder / "1" / "model").read_text() == "one"
    assert (folder / "2" / "model").read_text() == "two"
    assert versions(folder) == [1, 2]


def test_the_next_version_follows_the_largest(tmp_path):
    for name in ("2", "10", "notes", ".new-abc", "٣", "007"):
        (tmp_path / name).mkdir()
    assert versions(tmp_path) == [2, 10]
    assert _export(tmp_path) == tmp_path / "11"
    (tmp_path / "30").write_text("a file is no version, nor is its name free")
    assert versions(tmp_path) == [2, 10, 11]
    # To a server, 42.
    (tmp_path / "0042").mkdir()
    assert _export(tmp_path) == tmp_path / "43"
    (tmp_path / "1763800000000000000").mkdir()
    assert _export(tmp_path) == tmp_path / "1763800000000000001"
    assert versions(tmp_path)[-1] == 1763800000000000001


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt, ValueError])
def test_nothing_is_left_after_an_error(error, tmp_path):
    _export(tmp_path, "one")
    with pytest.raises(error), new_version(tmp_path) as version:
        (version.temporary / "half").write_text("written")
        raise error
    assert [path.name for path in tmp_path.iterdir()] == ["1"]
    assert version.path is None
    assert (tmp_path / "1" / "model").read_text() == "one"


def test_two_exports_at_once_get_two_versions(tmp_path):
    with new_version(tmp_path) as first:
        (first.temporary / "model").write_text("first")
        second = _export(tmp_path, "second")
    assert second == tmp_path / "1"
    assert first.path == tmp_path / "2"
    assert (second / "model").read_text() == "second"
    assert (first.path / "model").read_text() == "first"


def test_a_version_claimed_in_between_is_not_overwritten(tmp_path, monkeypatch):
    monkeypatch.setattr("serving.atomic._numbers", lambda folder: [])
    _export(tmp_path, "first")
    _export(tmp_path, "second")
    assert (tmp_path / "1" / "model").read_text() == "first"
    assert (tmp_path / "2" / "model").read_text() == "second"


def test_a_folder_that_cannot_be_renamed_is_an_error(tmp_path, monkeypatch):
    def refuse(*paths):
        raise PermissionError("read-only")

    monkeypatch.setattr(os, "rename", refuse)
    with pytest.raises(PermissionError):
        _export(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_server_of_another_user_can_read_it(tmp_path):
    mode = stat.S_IMODE(_export(tmp_path).stat().st_mode)
    assert mode & 0o055 == 0o055

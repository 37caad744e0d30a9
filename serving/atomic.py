"""Folders that appear whole or not at all."""

import contextlib
import os
import pathlib
import re
import shutil
import tempfile

# What is a number to a server: 64 bits, with zeros in front, too.
_NUMBER = re.compile(r"[0-9]{1,19}")
_MOST = 2**63 - 1


@contextlib.contextmanager
def new_version(directory):
    """A folder to write into that becomes the next version of a model.

    Until the block ends it has a name that is no integer, which TensorFlow
    Serving does not look at; then it is renamed. A version is never
    overwritten, and after an error nothing is left.

    Args:
        directory: Folder of all versions of the model.

    Yields:
        The temporary folder; after the block, its `name` is the version.
    """
    directory = pathlib.Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    temporary = pathlib.Path(tempfile.mkdtemp(prefix=".new-", dir=directory))
    version = Version(temporary)
    try:
        yield version
        os.chmod(temporary, 0o755)  # mkdtemp lets nobody else read
        _sync(temporary)
        version.path = _claim(temporary, directory)
        _sync_one(directory)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


class Version:
    """Where a version is written, and in the end where it lies."""

    def __init__(self, temporary):
        self.temporary = temporary
        self.path = None


def versions(directory):
    """The numbers of the versions in a folder, sorted."""
    # A name with zeros in front is another one than that of its number.
    return [n for n in _numbers(directory) if _folder(directory, n).is_dir()]


def _numbers(directory):
    """The numbers that are taken, sorted."""
    names = [path.name for path in pathlib.Path(directory).glob("*")]
    numbers = {int(name) for name in names if _NUMBER.fullmatch(name)}
    return sorted(number for number in numbers if number <= _MOST)


def _folder(directory, number):
    return pathlib.Path(directory, str(number))


def _sync(folder):
    """All of a folder is on the disk, before its name says that it is."""
    for parent, _, names in os.walk(folder):
        for name in names:
            _sync_one(os.path.join(parent, name))
        _sync_one(parent)


def _sync_one(path):
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _claim(temporary, directory):
    """Rename to the next free number, also when another one exports too."""
    number = max(_numbers(directory), default=0) + 1
    while True:
        path = _folder(directory, number)
        try:
            # A rename onto a folder that is not empty fails.
            os.rename(temporary, path)
            return path
        except OSError:
            if not path.exists():
                raise
            number += 1

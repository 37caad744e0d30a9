"""Finds the file of a public data set, else downloads and checks it."""

import os
import pathlib

import pooch
import portalocker

from datasets._errors import DataError
from datasets._paths import user_path
from datasets._resuming import fetch

DATA_VARIABLE = "ATTENTION_ZOO_DATA"
_LOCK_TIMEOUT = 3600  # Seconds.


def find_or_download(relative_path, url, checksum, size_limit, data_dir=None):
    """Returns the path of a file, which is downloaded if it is nowhere.

    It is looked for in `data_dir`, in the folder that the environment variable
    `ATTENTION_ZOO_DATA` names, and in the user's cache. The first two are the
    user's own and are taken as they are; the cache and the download must have
    the given checksum. A download that was cut goes on where it stopped.

    Args:
        relative_path: Path below these folders, such as
            `"multi30k/train.en.gz"`.
        url: Where the file is, `http` or `https`.
        checksum: The name of the algorithm and the digits, such as
            `"sha256:9f86d08..."`; `"md5:..."` only where the source has
            published no better one, as it does not keep out what was forged.
        size_limit: Number of bytes that the file may have.
        data_dir: Folder, or None.

    Returns:
        A `pathlib.Path`.

    Raises:
        DataError: A named folder does not exist, the file cannot be
            downloaded or written, is too large or has another checksum.
    """
    for name, folder in (
        ("data_dir", data_dir),
        (DATA_VARIABLE, os.environ.get(DATA_VARIABLE)),
    ):
        if not folder:
            continue
        folder = user_path(folder)
        if not folder.is_dir():
            raise DataError(
                "The folder of the data does not exist. "
                f"Received: {name}={str(folder)!r}"
            )
        if (folder / relative_path).is_file():
            return folder / relative_path
    cached = pathlib.Path(pooch.os_cache("attention_zoo")) / relative_path
    try:
        return _cached_or_downloaded(cached, url, checksum, size_limit)
    except (OSError, portalocker.LockException) as error:
        # All errors of the network and of the disk are OSErrors.
        raise DataError(
            f"Could not download {url} ({error}): put the file at {cached}, "
            f"or at {relative_path} in a folder that ${DATA_VARIABLE} names"
        ) from error


def _cached_or_downloaded(cached, url, checksum, size_limit):
    # Also where nothing can be written, as in a container.
    if cached.is_file() and _has_checksum(cached, checksum):
        return cached
    cached.parent.mkdir(parents=True, exist_ok=True)
    partial = cached.with_name(f"{cached.name}.part")

    def download(url, output_file, _):
        fetch(url, partial, size_limit)
        os.replace(partial, output_file)

    # Two processes must not write one partial file.
    lock = cached.with_name(f"{cached.name}.lock")
    with portalocker.Lock(lock, timeout=_LOCK_TIMEOUT):
        if cached.is_file() and _has_checksum(cached, checksum):
            return cached
        try:
            # Compares the checksum, and only then moves the file here.
            pooch.retrieve(
                url,
                known_hash=checksum,
                fname=cached.name,
                path=cached.parent,
                downloader=download,
            )
        except DataError:
            raise
        except ValueError as error:
            raise DataError(
                f"What {url} gives is not the file known under this name, "
                "which may have been replaced by a newer one, or damaged on "
                f"its way; it was deleted. {error} Received: {cached.name}"
            ) from error
    return cached


def _has_checksum(path, checksum):
    algorithm, _, digits = checksum.partition(":")
    return pooch.file_hash(str(path), alg=algorithm) == digits

"""Downloads from a real server on this machine."""

import hashlib
import http.server
import pathlib
import re
import socket
import threading

import portalocker
import pytest
import requests

from datasets import _resuming
from datasets import DataError
from datasets._download import find_or_download

CONTENT = bytes(range(256)) * 2000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
CHECKSUM = f"sha256:{SHA256}"
PATH = "set/file.gz"


class _Handler(http.server.BaseHTTPRequestHandler):
    """Serves CONTENT, as ill as the server's `faults` say."""

    def do_GET(self):
        self.server.requests.append(self.headers.get("Range"))
        faults = self.server.faults
        if faults.get("statuses"):
            return self._answer(faults["statuses"].pop(0), b"")
        if "redirect" in faults:
            self.send_response(302)
            self.send_header("Location", faults["redirect"])
            self.end_headers()
            return None
        if "endless" in faults:
            return self._answer_without_end()
        content = faults.get("content", CONTENT)
        wanted = re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if not wanted or faults.get("no_ranges"):
            return self._answer(200, content)
        start = int(wanted[1])
        if start >= len(content):
            return self._answer(
                416, b"", {"Content-Range": f"bytes */{len(content)}"}
            )
        first = start + faults.get("shift", 0)
        faults.pop("shift", None)
        last = len(content) - 1
        return self._answer(
            206,
            content[first:],
            {"Content-Range": f"bytes {first}-{last}/{len(content)}"},
        )

    def _answer(self, status, body, headers=None):
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if not self.server.faults.get("no_length"):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.server.faults.get("cuts"):
            body = body[: self.server.faults["cuts"].pop(0)]
        self.wfile.write(body)

    def _answer_without_end(self):
        self.send_response(200)
        self.end_headers()
        try:
            while self.server.sent < 100_000_000:
                self.server.sent += self.wfile.write(CONTENT)
        except OSError:
            pass  # The other side has closed the connection.

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    retries = _resuming._RETRIES.new(backoff_factor=0)
    monkeypatch.setattr(_resuming, "_RETRIES", retries)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.faults, server.requests, server.sent = {}, [], 0
    server.url = f"http://127.0.0.1:{server.server_port}/file.gz"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def find(url, checksum=CHECKSUM, size_limit=10**6, data_dir=None):
    return find_or_download(PATH, url, checksum, size_limit, data_dir)


def test_download_and_cache(server, cache):
    path = find(server.url)
    assert path == cache / PATH
    assert path.read_bytes() == CONTENT
    assert find(server.url) == path
    assert len(server.requests) == 1
    assert {file.name for file in path.parent.iterdir()} == {
        "file.gz",
        "file.gz.lock",
    }


def test_a_damaged_cache_is_replaced(server, cache):
    (cache / PATH).parent.mkdir(parents=True)
    (cache / PATH).write_bytes(b"damaged")
    assert find(server.url).read_bytes() == CONTENT


def test_a_cut_connection_is_resumed(server):
    server.faults["cuts"] = [200_000, 100_000]
    assert find(server.url).read_bytes() == CONTENT
    assert server.requests == [None, "bytes=200000-", "bytes=300000-"]


def test_a_later_run_resumes(server, cache):
    server.faults["cuts"] = [1000] * 6
    with pytest.raises(DataError, match="the connection broke"):
        find(server.url)
    partial = cache / f"{PATH}.part"
    assert partial.read_bytes() == CONTENT[:6000]
    server.requests.clear()
    assert find(server.url).read_bytes() == CONTENT
    assert server.requests == ["bytes=6000-"]
    assert not partial.exists()


def test_a_complete_partial_file(server, cache):
    (cache / PATH).parent.mkdir(parents=True)
    (cache / f"{PATH}.part").write_bytes(CONTENT)
    assert find(server.url).read_bytes() == CONTENT
    assert server.requests == [f"bytes={len(CONTENT)}-"]


def test_a_partial_file_that_is_too_long(server, cache):
    (cache / PATH).parent.mkdir(parents=True)
    (cache / f"{PATH}.part").write_bytes(CONTENT + b"more")
    assert find(server.url).read_bytes() == CONTENT
    assert server.requests == [f"bytes={len(CONTENT) + 4}-", None]


def test_a_server_without_ranges(server):
    server.faults.update(no_ranges=True, cuts=[200_000])
    assert find(server.url).read_bytes() == CONTENT
    assert server.requests == [None, "bytes=200000-"]


def test_a_server_that_sends_another_range(server):
    server.faults.update(shift=1, cuts=[200_000])
    assert find(server.url).read_bytes() == CONTENT
    assert server.requests == [None, "bytes=200000-", None]


def test_passing_errors_of_the_server(server):
    server.faults["statuses"] = [503, 500]
    assert find(server.url).read_bytes() == CONTENT
    assert len(server.requests) == 3


def test_checksum(server, cache):
    server.faults["content"] = b"another file"
    got = hashlib.sha256(b"another file").hexdigest()
    with pytest.raises(DataError) as error:
        find(server.url)
    for part in (server.url, "file.gz", SHA256, got, "deleted"):
        assert part in str(error.value)
    assert [file.name for file in (cache / "set").iterdir()] == ["file.gz.lock"]


def test_checksum_of_another_algorithm(server, cache):
    checksum = f"md5:{hashlib.md5(CONTENT).hexdigest()}"
    assert find(server.url, checksum).read_bytes() == CONTENT
    assert find(server.url, checksum) == cache / PATH
    assert len(server.requests) == 1
    other = f"md5:{hashlib.md5(b'another file').hexdigest()}"
    with pytest.raises(DataError, match=other.partition(":")[2]):
        find(server.url, other)


def test_not_found(server, cache):
    server.faults["statuses"] = [404]
    with pytest.raises(DataError) as error:
        find(server.url)
    for part in ("404", server.url, str(cache / PATH), "$ATTENTION_ZOO_DATA"):
        assert part in str(error.value)
    assert len(server.requests) == 1


def test_offline(server, cache):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/file.gz"
        with pytest.raises(DataError) as error:
            find(url)
    message = str(error.value)
    for part in (url, str(cache / PATH), "$ATTENTION_ZOO_DATA", "refused"):
        assert part in message
    assert "\n" not in message


@pytest.mark.parametrize("no_length", [False, True])
def test_too_large(server, cache, no_length):
    server.faults["no_length"] = no_length
    with pytest.raises(DataError, match="larger than it may be, 100000 bytes"):
        find(server.url, size_limit=100_000)
    assert not (cache / f"{PATH}.part").exists()


def test_what_is_too_large_is_not_read_to_its_end(server):
    server.faults["endless"] = True
    with pytest.raises(DataError, match="larger than it may be"):
        find(server.url)
    assert server.sent < 50_000_000


@pytest.mark.parametrize(
    "target", ["ftp://127.0.0.1/x", "file:///etc/passwd", "http://[bad"]
)
def test_redirects_to_another_scheme(server, target):
    server.faults["redirect"] = target
    with pytest.raises(
        DataError, match=f"another kind.*Received: {re.escape(target)}"
    ):
        find(server.url)


def test_https_is_never_left():
    """Also for plain http on the same machine."""
    response = requests.Response()
    response.status_code = 302
    response.url = "https://127.0.0.1/x"
    response.headers["Location"] = "http://127.0.0.1/x"
    with pytest.raises(DataError, match="another kind of address"):
        _resuming._Session().get_redirect_target(response)
    response.headers["Location"] = "https://localhost/y"
    assert _resuming._Session().get_redirect_target(response)


def test_redirects_without_end(server):
    server.faults["redirect"] = server.url
    with pytest.raises(DataError, match="30 redirects"):
        find(server.url)


def test_the_users_own_files_are_taken_as_they_are(
    server, tmp_path, monkeypatch
):
    folders = {}
    for name in ("argument", "variable"):
        folders[name] = tmp_path / name
        (folders[name] / PATH).parent.mkdir(parents=True)
        (folders[name] / PATH).write_bytes(name.encode())
    monkeypatch.setenv("ATTENTION_ZOO_DATA", str(folders["variable"]))
    own = find(server.url, data_dir=str(folders["argument"]))
    assert own.read_bytes() == b"argument"
    assert find(server.url).read_bytes() == b"variable"
    (folders["variable"] / PATH).unlink()
    assert find(server.url).read_bytes() == CONTENT
    assert len(server.requests) == 1


def test_a_named_folder_must_exist(server, tmp_path, monkeypatch):
    missing = str(tmp_path / "missing")
    with pytest.raises(DataError, match=f"Received: data_dir='{missing}'"):
        find(server.url, data_dir=missing)
    monkeypatch.setenv("ATTENTION_ZOO_DATA", missing)
    with pytest.raises(DataError, match=f"ATTENTION_ZOO_DATA='{missing}'"):
        find(server.url)


def test_a_cache_that_cannot_be_written(server, cache):
    pathlib.Path(cache.parent).mkdir(parents=True)
    cache.write_text("a file where a folder should be")
    with pytest.raises(DataError, match=r"or at set/file.gz in a folder"):
        find(server.url)


def test_a_cache_that_can_be_read_only(server, monkeypatch):
    cached = find(server.url)

    def refuse(*args, **kwargs):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(portalocker, "Lock", refuse)
    assert find(server.url) == cached
    assert len(server.requests) == 1


def test_a_file_system_without_locks(server, monkeypatch):
    def refuse(*args, **kwargs):
        raise portalocker.LockException("no locks available")

    monkeypatch.setattr(portalocker, "Lock", refuse)
    with pytest.raises(DataError, match=r"no locks available.*put the file at"):
        find(server.url)


def test_two_at_once(server):
    paths = []
    threads = [
        threading.Thread(target=lambda: paths.append(find(server.url)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(paths) == 4
    assert paths[0].read_bytes() == CONTENT
    assert len(server.requests) == 1

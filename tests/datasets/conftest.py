import pooch
import pytest


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Keeps the user's own data and cache out of the tests."""
    monkeypatch.delenv("ATTENTION_ZOO_DATA", raising=False)
    folder = tmp_path / "cache"
    monkeypatch.setattr(pooch, "os_cache", lambda name: folder / name)
    return folder / "attention_zoo"

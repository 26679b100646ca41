"""The copy of Jittor that is imported."""

from __future__ import annotations

import base64
import hashlib
from importlib import metadata
from pathlib import Path

import pytest

from ecgan.errors import MachineError
from ecgan.runtime import copied


class Installed:
    """A Jittor of two files in `folder`, and what pip has written down about it."""

    def __init__(self, folder: Path, recorded: bool = True) -> None:
        self.folder = folder
        self.lines = ["../../bin/jittor-tool,sha256=x,1", "jittor-1.dist-info/RECORD,,", "jittor/__pycache__/a.pyc,,"]
        for name, content in (("jittor/src/a,b.cc", b"int a;"), ("jittor_utils/c.py", b"c = 1")):
            (folder / name).parent.mkdir(parents=True)
            (folder / name).write_bytes(content)
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
            self.lines += [f"{name},{f'sha256={digest}' if recorded else ''},{len(content)}"]

    def locate_file(self, name: str) -> Path:
        return self.folder / name

    def read_text(self, name: str) -> str:
        return "\n".join(self.lines) if name == "RECORD" else ""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ECGAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(metadata, "version", lambda name: "1.3.11.0")
    copied._digest.cache_clear()
    return tmp_path / "cache"


@pytest.fixture(autouse=True)
def forgotten() -> object:
    yield
    copied._digest.cache_clear()


def use(installed: Installed, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(metadata, "distribution", lambda name: installed)
    copied._digest.cache_clear()
    return copied.folder()


def test_two_environments_have_one(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = use(Installed(tmp_path / "one"), monkeypatch)
    copied.lay_out()
    assert one.parent == cache and sorted(path.name for path in one.rglob("*.*")) == ["a,b.cc", "c.py"]
    other = Installed(tmp_path / "other")
    assert use(other, monkeypatch) == one
    other.lines[-1] = other.lines[-1].replace("sha256=", "sha256=0")
    assert use(other, monkeypatch) != one


def test_what_was_changed_is_not_copied(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others would be served with it."""
    use(Installed(tmp_path / "one"), monkeypatch)
    (tmp_path / "one/jittor_utils/c.py").write_text("c = 2")
    with pytest.raises(MachineError, match="c.py is not as it was installed; install Jittor anew"):
        copied.lay_out()
    assert not list(cache.iterdir())


def test_without_a_record_it_is_used_where_it_lies(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert use(Installed(tmp_path / "one", recorded=False), monkeypatch) == tmp_path / "one"
    copied.lay_out()
    assert not cache.exists()

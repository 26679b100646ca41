"""A file system that has no locks: what is told names the folder, and the option that chose it."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

import pytest

from ecgan.errors import UserError
from ecgan.files import exclusive_lock
from jobs.options import in_words
from jobs.run import lock
from jobs.run.folder import RunDir


@pytest.fixture(params=[errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def _no_locks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int, how: int) -> None:
        raise OSError(request.param, os.strerror(request.param))

    monkeypatch.setattr(fcntl, "flock", refuse)


@pytest.mark.usefixtures("_no_locks")
def test_of_a_run(tmp_path: Path) -> None:
    open_before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(UserError) as caught:
        lock.take(RunDir(tmp_path, option="--run_dir"))
    told = in_words(caught.value)
    assert told.startswith(f"{tmp_path}: its file system has no locks (") and told.endswith("folder with --run_dir")
    assert len(os.listdir("/proc/self/fd")) == open_before


@pytest.mark.usefixtures("_no_locks")
def test_of_compiled_code(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught, exclusive_lock(tmp_path / "cache/core.lock", "cache_dir"):
        pass
    told = in_words(caught.value)
    assert told.startswith(f"{tmp_path / 'cache'}: its file") and told.endswith("--cache_dir")

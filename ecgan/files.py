"""Writing files so that a kill leaves the old content or the new, never half of it."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

#: What a file is called until it is whole. Found after a kill, it can be deleted.
TEMPORARY_SUFFIX = ".part"


def write_atomically(path: Path, content: bytes | str) -> None:
    """Writes beside `path` under a temporary name, then renames. Raises OSError; leaves no temporary then."""
    data = content.encode() if isinstance(content, str) else content
    temporary = path.with_name(f".{secrets.token_hex(8)}{TEMPORARY_SUFFIX}")  # short, since `path` may not be
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def write_json(path: Path, value: Any) -> None:
    write_atomically(path, json.dumps(value, indent=1) + "\n")


def sha256_of(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


@contextlib.contextmanager
def exclusive_lock(path: Path, on_wait: Callable[[], None] | None = None) -> Iterator[None]:
    """Holds a lock on `path` between processes (released by the kernel if this one dies).

    `on_wait()` is called once if somebody else holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if on_wait:
                on_wait()
            fcntl.flock(file, fcntl.LOCK_EX)
        yield

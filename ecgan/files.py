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
from typing import Any, TypeVar

import msgspec

from ecgan.errors import UserError, reason

#: What a file is called until it is whole. Found after a kill, it can be deleted.
TEMPORARY_SUFFIX = ".part"

Record = TypeVar("Record")


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
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError):
            error.filename, error.filename2 = str(path), None  # a disk that fills while we write has none
        raise


def write_json(path: Path, value: Any) -> None:
    write_atomically(path, json.dumps(value, indent=1) + "\n")


def read_json(path: Path, cls: type[Record], what: str) -> Record:
    """The `cls` (a dataclass, of dataclasses, tuples, paths and what JSON has) that `write_json` wrote from its fields.

    Keys that are no fields are passed over. Raises FileNotFoundError, and UserError if it is not `what` it should be.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=cls, dec_hook=_from_text)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UserError(f"can't read {path}: {reason(error)}") from None
    except (ValueError, TypeError) as error:
        raise UserError(f"{path} is not {what} that this version can read ({error})") from None


def _from_text(kind: type, value: Any) -> Any:
    if issubclass(kind, Path):
        return kind(value)
    raise TypeError(f"a {kind.__name__} can't be read from JSON")


def sha256_of(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def lock(descriptor: int, how: int, path: Path, field: str) -> None:
    """flock(2). Raises BlockingIOError, and UserError naming `path`'s folder and the setting `field` that chose it if
    its file system has no locks."""
    try:
        fcntl.flock(descriptor, how)
    except BlockingIOError:
        raise
    except OSError as error:
        fact = f"{path.parent}: its file system has no locks ({reason(error)})"
        raise UserError(fact, hint=f"choose another folder with <{field}>") from None


@contextlib.contextmanager
def exclusive_lock(path: Path, field: str, on_wait: Callable[[], None] | None = None) -> Iterator[None]:
    """Holds a lock on `path` between processes (released by the kernel if this one dies).

    `on_wait()` is called once if somebody else holds it. Raises UserError like `lock`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a") as file:
        try:
            lock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB, path, field)
        except BlockingIOError:
            if on_wait:
                on_wait()
            lock(file.fileno(), fcntl.LOCK_EX, path, field)
        yield

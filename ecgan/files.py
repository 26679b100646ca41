"""Writing files so that a kill leaves the old content or the new, never half of it; reading files of others."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import re
import secrets
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import msgspec

from ecgan.errors import UserError, reason

#: What a file or folder is called until it is whole, at its end. A kill leaves it: in a run's folder whoever has the
#: run's lock clears it away, elsewhere `clear_leftovers`.
TEMPORARY_SUFFIX = ".part"
_TEMPORARY = re.compile(rf"\.(.+\.)?([0-9a-f]{{8}}){{1,2}}{re.escape(TEMPORARY_SUFFIX)}", re.DOTALL)
#: Bytes of the largest file that is read whole, and of the largest JSON. Ours are far below.
_MOST, _MOST_JSON = 1 << 30, 1 << 28
#: How deep objects and lists of a JSON file may lie in each other; no file of the project comes near.
DEEPEST = 32
_NO_FILES = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
}
#: Strings, of which the last may lack its end; and bytes that are no bracket.
_STRINGS = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))

Record = TypeVar("Record")


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write beside `path` under a temporary name, which takes that place when the block has ended.

    Raises OSError that names `path`; whatever is raised, no temporary is left.
    """
    temporary = path.with_name(f".{secrets.token_hex(8)}{TEMPORARY_SUFFIX}")  # short, since `path` may not be
    try:
        with open(temporary, "wb") as file:
            _hold(file.fileno())
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError):
            error.filename, error.filename2 = str(path), None  # a disk that fills while we write has none
        raise


@contextlib.contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A folder to fill beside `path` under a temporary name, which takes that place when the block has ended.

    Raises OSError, also if something is there by then; whatever is raised, no temporary is left.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}{TEMPORARY_SUFFIX}")
    temporary.mkdir(parents=True)
    held = os.open(temporary, os.O_RDONLY)
    try:
        _hold(held)
        yield temporary
        os.replace(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        os.close(held)


def make_folder_once(path: Path, fill: Callable[[Path], object]) -> None:
    """A folder, filled by `fill(folder)`, unless it is there; of several processes that want it one makes it."""
    if path.is_dir():
        return
    clear_leftovers(path.parent)
    try:
        with whole_folder(path) as new:
            fill(new)
    except OSError:
        if not path.is_dir():  # else another process was first
            raise


def _hold(descriptor: int) -> None:
    """Keeps an open temporary file or folder from `clear_leftovers` as long as it is open; where there are no locks,
    nothing is cleared."""
    with contextlib.suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def clear_leftovers(folder: Path) -> None:
    """Removes temporary files and folders of ours that no process holds, from a folder that no lock guards."""
    for path in folder.glob(f".*{TEMPORARY_SUFFIX}"):
        if not _TEMPORARY.fullmatch(path.name) or path.is_symlink():
            continue
        with contextlib.suppress(OSError):
            descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR | os.O_NONBLOCK)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            finally:
                os.close(descriptor)


def write_atomically(path: Path, content: bytes | str) -> None:
    """Writes a `whole_file`. Raises OSError that names `path`."""
    with whole_file(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


def write_json(path: Path, value: Any, default: Callable[[Any], Any] | None = None) -> None:
    """`default`: what is written of what JSON does not know."""
    write_atomically(path, json.dumps(value, indent=1, default=default) + "\n")


def open_file(path: Path) -> BinaryIO:
    """Opens a file for reading. Raises OSError, also if it is none: a FIFO would be waited for, a device has no end."""
    try:
        kind = stat.S_IFMT(path.stat().st_mode)
    except ValueError:  # a NUL or half a character in its name, from a file that lists it
        raise OSError(errno.EINVAL, "not a name that a file can have", ascii(str(path))) from None
    if kind != stat.S_IFREG:
        raise OSError(errno.EINVAL, f"{_NO_FILES.get(kind, 'something else')}, not a file", str(path))
    return open(path, "rb")


def read_bytes(path: Path, most: int = _MOST) -> bytes:
    """The whole of a file that somebody else has written. Raises OSError, also if it is larger than `most` bytes."""
    with open_file(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > most:
            raise OSError(errno.EFBIG, f"{size} bytes; at most {most} are read", str(path))
        return file.read()


def read_text(path: Path, most: int = _MOST) -> str:
    """The same of a text in UTF-8, with or without a byte-order mark. Raises OSError, and ValueError if it is none."""
    try:
        return read_bytes(path, most).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8: {error.reason} at byte {error.start}") from None


def read_any_json(
    path: Path,
    object_pairs_hook: Callable[[list[tuple[str, Any]]], Any] | None = None,
    most: int = _MOST_JSON,
) -> Any:
    """The value in a JSON file that somebody else may have written, whatever it is.

    Raises OSError, also if it is larger than `most` bytes, and ValueError if it is no JSON or its objects and lists are
    nested too deep for what handles them.
    """
    return any_json(read_text(path, most), object_pairs_hook)


def any_json(text: str, object_pairs_hook: Callable[[list[tuple[str, Any]]], Any] | None = None) -> Any:
    """The same of a text."""
    return json.loads(_shallow(text), object_pairs_hook=object_pairs_hook)


def read_json(path: Path, cls: type[Record], what: str) -> Record:
    """The `cls` (a dataclass, of dataclasses, tuples, paths and what JSON has) that `write_json` wrote from its fields.

    Keys that are no fields are passed over. Raises FileNotFoundError, and UserError if it is not `what` it should be.
    """
    try:
        return fitted(read_any_json(path), cls)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UserError(f"can't read {path}: {reason(error)}") from None
    except (ValueError, TypeError) as error:
        raise UserError(f"{path} is not {what} that this version can read ({error})") from None


def fitted(value: Any, cls: type[Record]) -> Record:
    """The same from what `any_json` has read, numbers that are not finite and odd names of files too. Raises ValueError
    or TypeError."""
    return msgspec.convert(value, cls, dec_hook=from_text)


def _shallow(text: str) -> str:
    if _is_deep(text):
        raise ValueError(f"nested more than {DEEPEST} deep")
    return text


def _is_deep(text: str) -> bool:
    """Whether more than DEEPEST brackets are open anywhere, but those in strings."""
    brackets = _STRINGS.sub("", text).encode(errors="replace").translate(None, _NO_BRACKETS)
    left = brackets
    for _ in range(DEEPEST):
        left = left.replace(b"[]", b"").replace(b"{}", b"")
    if not left:  # each round takes away what is innermost
        return False
    depths = accumulate(1 if bracket in b"[{" else -1 for bracket in brackets)  # they are not all closed
    return max(depths) > DEEPEST


def from_text(kind: type, value: Any) -> Any:
    """What msgspec is told of paths."""
    if issubclass(kind, Path):
        return kind(value)
    raise TypeError(f"a {kind.__name__} can't be read from JSON")


def nearest(folder: Path) -> Path:
    """`folder`, or the folder above it in which it would have to be made."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder


def sha256_of(path: Path) -> str:
    digest = hashlib.sha256()
    with open_file(path) as file:
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


def is_refused(path: Path, how: int) -> bool | None:
    """Whether flock(2) `how` on a file would have to wait for another process: what is got is let go of at once. None
    if that can't be found out."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    except OSError:
        return None
    finally:
        os.close(descriptor)


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


def digest_of_all(files: Iterable[Path], root: Path) -> str:
    """Twelve digits of the contents of files below `root` and of their names there, in whatever order they come."""
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(str(file.relative_to(root)).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:12]

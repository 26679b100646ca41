"""Files with a line of JSON for each thing, added to one by one: what a kill cuts short costs its line alone."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from ecgan.files import Record, any_json, fitted, from_text, open_file

#: Bytes of the longest line that is read whole. Ours are far below.
_LONGEST = 1 << 28


def append_line(path: Path, value: Any) -> None:
    """Adds `value` as a line of JSON, which a kill of this process no longer takes away.

    What a killed writer left of a line before it stays a line of its own, which readers pass over. Raises OSError, the
    file is as before then; and ValueError for numbers that are not finite, which JSON has no words for.
    """
    line = json.dumps(value, allow_nan=False).encode() + b"\n"
    with open(path, "a+b", buffering=0) as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(max(0, end - 1))
        if file.read(1) not in (b"", b"\n"):
            line = b"\n" + line
        try:
            while line:
                line = line[file.write(line) :]
        except OSError:
            with contextlib.suppress(OSError):
                file.truncate(end)  # half a line would spoil the next one
            raise


def read_lines(path: Path) -> Iterator[tuple[str, dict[str, Any] | None]]:
    """The lines of a file that `append_line` adds to, blank ones aside, and the object in each: None if there is none
    that can be understood, since a kill cut the line short, say. Raises OSError."""
    for raw in _lines(path):
        found, line = None, raw.decode(errors="replace")
        with contextlib.suppress(ValueError):
            found = any_json(line)
        yield line, found if isinstance(found, dict) else None


def read_records(path: Path, cls: type[Record]) -> Iterator[Record]:
    """The same as `cls` each, without those that are none."""
    for line in _lines(path):
        with contextlib.suppress(ValueError, TypeError):
            yield line_as(line, cls)


def line_as(line: bytes, cls: type[Record]) -> Record:
    """The `cls` (as `read_json` knows them) in a line of JSON. Raises ValueError or TypeError."""
    try:
        return msgspec.json.decode(line, type=cls, dec_hook=from_text)
    except (ValueError, RecursionError):  # numbers that are not finite, or half a character, or it is none
        return fitted(any_json(line.decode(errors="replace")), cls)


def _lines(path: Path) -> Iterator[bytes]:
    """Without blank ones, of which one is held at a time: the file may be larger than others that are read."""
    with open_file(path) as file:
        while line := file.readline(_LONGEST):
            if line.strip():
                yield line.removesuffix(b"\n")

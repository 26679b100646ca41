"""What no option may be, whatever it is for: nothing where it needs a value, no number, or a path that can't be one."""

from __future__ import annotations

import dataclasses
import errno
import math
import os
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ecgan.errors import UserError, reason

#: What a path can't be cured of by making or choosing another file: said where it was given, before anything is done.
_NEVER_A_PATH = (errno.ELOOP, errno.ENAMETOOLONG)


def insist_on_usable(options: type, given: Mapping[str, Any]) -> None:
    """Raises UserError naming the first option of the dataclass `options` whose value, `given[name]`, can't be used.

    A file of options, unlike a command line, can leave a value blank, and have infinity for a number.
    """
    hints = typing.get_type_hints(options)
    for field in (field for field in dataclasses.fields(options) if field.metadata):
        value, positional = given[field.name], field.metadata["positional"]
        if value is None and type(None) not in typing.get_args(hints[field.name]):
            raise UserError("has no value; leave it out for its default", field=field.name)
        if isinstance(value, float) and not math.isfinite(value):
            raise UserError(f"--{field.name} is {value}; it must be a number")
        if isinstance(value, int) and abs(value) >= 1 << 63:
            raise UserError(f"--{field.name} is too large: it must be below 2 to the power of 63")
        if field.metadata["path"]:
            for each in value if positional else [value]:
                insist_on_path(each, None if positional else field.name)
        else:
            insist_on_text(f"--{field.name}", value)


def insist_on_text(name: str, value: object) -> None:
    """Raises UserError if `value`, which has this name, is text with nothing in it."""
    if isinstance(value, str) and not value.strip():
        raise UserError(f"{name} is empty; leave it out for its default")


def insist_on_path(text: str | None, name: str | None) -> None:
    """Raises UserError if `text`, given as the option `name` (None: a word without one), can't be a path on any disk.

    None is no path, and may be one's default. Whether there is such a file is for the command to find out.
    """
    if text is None:
        return
    if not text.strip():
        raise _no_path(text, name, "an empty path; . is the current folder")
    try:
        if b"\0" in os.fsencode(text):
            raise _no_path(ascii(text), name, "a path can't have a NUL in it")
        Path(text).expanduser().stat()
    except UnicodeEncodeError:
        raise _no_path(ascii(text), name, "not a name that a file can have") from None
    except RuntimeError:  # ~ of nobody
        raise _no_path(text, name, "there is no such user, or no home folder is known") from None
    except OSError as error:
        if error.errno in _NEVER_A_PATH:
            raise _no_path(text, name, reason(error)) from None


def _no_path(text: str, name: str | None, fact: str) -> UserError:
    shown = text if len(text) <= 100 else f"{text[:100]}…"
    if not text.strip():
        shown = repr(text)
    return UserError(f"{shown}: {fact}" if name is None else f"--{name} {shown}: {fact}")

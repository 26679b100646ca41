"""A command's options: fields of a dataclass, so that files, command lines and tests share them; and how they are
called in messages."""

from __future__ import annotations

import re
from dataclasses import field, fields
from pathlib import Path
from typing import Any

from ecgan.data.images import Size
from ecgan.errors import MachineError, UserError
from jobs.bounds import Bounds
from jobs.commands import called

#: Pixels of the longest side that libjpeg writes, and of a picture: below where Pillow takes one for an attack.
_LONGEST, _MOST_PIXELS = 65_500, 1 << 26


def option(
    default: Any,
    help: str,
    bounds: Bounds | None = None,
    *,
    path: bool = False,
    positional: bool = False,
    **marks: Any,
) -> Any:
    """A field with its help text. `bounds`: which numbers it may be. `path`: it is the name of a file or folder.
    `positional`: a list of one or more words without a name, which may be left out if `default` has any. `marks`: what
    else its command wants to know of it, kept in the field's metadata."""
    marks |= {"help": help, "bounds": bounds, "path": path, "positional": positional}
    return field(default=default, metadata=marks)


def in_words(error: UserError) -> str:
    """What a person is told who has a command line: settings as the options that they are there."""
    doctor = f"; `{called('doctor')}` may tell more" if isinstance(error, MachineError) else ""
    return error.message(_as_option) + doctor


def _as_option(name: str, value: object) -> str:
    if str(value) in ("True", "False"):
        return f"--{name}" if str(value) == "True" else f"--no-{name}"
    return f"--{name}" if value is None else f"--{name} {value}"


def named_in(settings: Any, folder: Path) -> list[str]:
    """The options of the dataclass `settings` that name something in `folder`, which has its links resolved."""
    given = {each.name: getattr(settings, each.name) for each in fields(settings) if each.metadata.get("path")}
    return [name for name, value in given.items() if value and resolved(value).is_relative_to(folder)]


def resolved(path: str | Path) -> Path:
    """Absolute, with ~ and links resolved. Raises UserError if that leads nowhere."""
    try:
        return Path(path).expanduser().resolve()
    except RuntimeError as error:  # links that lead in a circle, or the home of a user that is not known
        raise UserError(f"{path}: {error}") from None


def parse_size(name: str, text: str | None) -> Size | None:
    """ "512x384" -> (512, 384); raises UserError naming the option."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d{1,9})[xX](\d{1,9})", text.strip(), re.ASCII)
    if not match or not int(match[1]) or not int(match[2]):
        raise UserError(f"{name} is {text!r}; it must be WIDTHxHEIGHT in pixels, as 512x384")
    width, height = int(match[1]), int(match[2])
    if max(width, height) > _LONGEST or width * height > _MOST_PIXELS:
        raise UserError(f"{name} is {text}; it must be at most {_LONGEST} on a side, and {_MOST_PIXELS} pixels")
    return width, height

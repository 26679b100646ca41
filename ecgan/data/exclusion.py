"""The list of photos that a training leaves out: what the audit writes, a person does, or the original has.

One name a line, of a photo, its mask or, without ending, of both; folders before it, written either way, don't
matter. Blanks around it, empty lines and lines that begin with # are no part of a name. A name of which that would
not be true stands in quotes, with JSON's escapes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ecgan.data.folders import MASK_SUFFIX, PHOTO_SUFFIXES, printable
from ecgan.errors import UserError, reason
from ecgan.files import read_text

#: Lines that a message quotes at most.
_SHOWN = 3


@dataclass(frozen=True)
class Entry:
    """A name on the list, as it stands there, and the names of files or pairs that it may mean, the likeliest first."""

    text: str
    spellings: tuple[str, ...]


@dataclass(frozen=True)
class LeftOut:
    """`names`: pairs that a list takes out of a set; `unknown`: what it names and the set has not."""

    names: frozenset[str] = frozenset()
    unknown: tuple[str, ...] = ()


def read_exclude_list(path: Path) -> tuple[Entry, ...]:
    """Raises UserError if it can't be read."""
    try:
        lines = read_text(path).split("\n")
    except OSError as error:
        raise UserError(f"can't read the exclusion list {path}: {reason(error)}") from None
    except ValueError as error:
        raise UserError(f"the exclusion list {path} is no text ({error})") from None
    stripped = (line.strip() for line in lines)
    return tuple(_entry(line) for line in stripped if line and not line.startswith("#"))


def no_effect(unknown: Sequence[str]) -> str:
    """For a person: that these lines of a list leave nothing out."""
    some = ", ".join(unknown[:_SHOWN]) + (", …" if len(unknown) > _SHOWN else "")
    return f"{len(unknown)} line(s) of the exclusion list fit nothing in the set: {printable(some)}"


def list_of(known: Iterable[str], files: Mapping[str, Sequence[str]]) -> str:
    """The text of a list. `known`: lines of another that hold for this as well; `files`: names of files, each with the
    reasons why it is left out."""
    lines = [f"# listed before\n{line}\n" for line in known]
    lines += [f"# {printable('; '.join(reasons))}\n{_line_of(name)}\n" for name, reasons in files.items()]
    return "".join(lines)


def _line_of(name: str) -> str:
    is_plain = name.isprintable() and name == name.strip() and name[0] not in '#"' and "\\" not in name
    return name if is_plain else json.dumps(name)


def leave_out(entries: Iterable[Entry], files: Sequence[Path]) -> LeftOut:
    """What `entries` mean among photos and masks: the file of that name, or else the pair of that name."""
    stems = {path.name: path.stem for path in files}
    pairs = frozenset(stems.values())
    names, unknown = set(), []
    for entry in entries:
        meant = (stems.get(spelling, spelling) for spelling in entry.spellings)
        name = next((name for name in meant if name in pairs), None)
        if name is None:
            unknown.append(entry.text)
        else:
            names.add(name)
    return LeftOut(frozenset(names), tuple(unknown))


def _entry(line: str) -> Entry:
    name = _unquoted(line)
    if name is not None:
        return Entry(line, _with_stems(name))
    here = line.rpartition("/")[2]
    return Entry(line, _with_stems(line, here, here.rpartition("\\")[2]))


def _unquoted(line: str) -> str | None:
    if not line.startswith('"'):
        return None
    try:
        name = json.loads(line)
    except ValueError:  # a name that begins with a quotation mark
        return None
    return str(name)


def _with_stems(*names: str) -> tuple[str, ...]:
    """First the names as they are: p1.jpg is the pair of p1.jpg.jpg before it is that of p1.png."""
    paths = (Path(name) for name in names)
    stems = (path.stem for path in paths if path.suffix.lower() in (*PHOTO_SUFFIXES, MASK_SUFFIX))
    return tuple(dict.fromkeys((*names, *stems)))

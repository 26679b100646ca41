"""A command's options: fields of a dataclass, so that files, command lines and tests share them; how a file is read
that holds some, and how they are called in messages."""

from __future__ import annotations

import re
from dataclasses import field
from pathlib import Path
from typing import Any

import yaml

from ecgan.data.images import Size
from ecgan.errors import MachineError, UserError
from jobs.bounds import Bounds


def option(default: Any, help: str, bounds: Bounds | None = None, *, positional: bool = False, **marks: Any) -> Any:
    """A field with its help text. `bounds`: which numbers it may be. `positional`: a list of one or more words without
    a name, which may be left out if `default` has any. `marks`: what else its command wants to know of it, kept in the
    field's metadata."""
    return field(default=default, metadata={"help": help, "bounds": bounds, "positional": positional, **marks})


class _Loader(yaml.SafeLoader):
    """YAML without what surprises: a time like 24:00:00 is no number to the base of 60, 007 and a date are text, and
    1e-4 is a number."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, form) for tag, form in forms if not tag.endswith((":int", ":float", ":timestamp"))]
    for first, forms in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_FLOAT = r"[-+]?(\d+\.\d*|\.\d+)([eE][-+]?\d+)?|[-+]?\d+[eE][-+]?\d+|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
for _kind, _form in (("int", r"[-+]?(0|[1-9]\d*)"), ("float", _FLOAT)):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_kind}", re.compile(f"({_form})$"), list("-+.0123456789"))


def read_yaml(text: str) -> Any:
    """What a file of options holds. Raises yaml.YAMLError."""
    return yaml.load(text, _Loader)


def in_words(error: UserError) -> str:
    """What a person is told who has a command line: settings as the options that they are there."""
    doctor = "; `python launch/doctor.py` may tell more" if isinstance(error, MachineError) else ""
    return error.message(_as_option) + doctor


def _as_option(name: str, value: object) -> str:
    if str(value) in ("True", "False"):
        return f"--{name}" if str(value) == "True" else f"--no-{name}"
    return f"--{name}" if value is None else f"--{name} {value}"


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
    match = re.fullmatch(r"(\d+)[xX](\d+)", text.strip())
    if not match or not int(match[1]) or not int(match[2]):
        raise UserError(f"{name} is {text!r}; it must be WIDTHxHEIGHT in pixels, as 512x384")
    return int(match[1]), int(match[2])

"""What messages call our commands, as the one that was called: launch/NAME.py, or the installed ecgan-NAME; and what
a command said of its end."""

from __future__ import annotations

import os
import sys
from pathlib import Path

#: Set in an installed command, and so in all that it starts.
_INSTALLED = "ECGAN_INSTALLED"


def note_installed() -> None:
    """This process is an installed command."""
    os.environ[_INSTALLED] = "1"


def named(name: str) -> str:
    """The command of launch/, for a sentence about it."""
    return f"ecgan-{name}" if os.environ.get(_INSTALLED) else f"launch/{name}.py"


def called(name: str) -> str:
    """The same, as it is typed."""
    return named(name) if os.environ.get(_INSTALLED) else f"python {named(name)}"


def program(name: str) -> Path | None:
    """The file of an installed command, beside that of the one which runs; None if that is no installed one."""
    return Path(sys.argv[0]).resolve().with_name(named(name)) if os.environ.get(_INSTALLED) else None


def last_error(said: str) -> str | None:
    """What a command said last of what went wrong, out of all that it said."""
    errors = [line.removeprefix("error: ") for line in said.splitlines() if line.startswith("error: ")]
    return errors[-1] if errors else None

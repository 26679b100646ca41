"""Errors that are the user's to mend: shown as one message, without a traceback.

Here they speak of settings by their names in Python, and of nothing that a command line has: whoever shows them to
a person puts in what settings are called there (`jobs.options.in_words`).
"""

from __future__ import annotations

import re
from collections.abc import Callable

#: What a setting in a message becomes, from its name and its value (None: the name alone is meant).
Naming = Callable[[str, object], str]

_SETTING = re.compile(r"<(\w+)(?:=([^<>]*))?>")


def _as_in_python(name: str, value: object) -> str:
    return name if value is None else f"{name}={value}"


class UserError(Exception):
    """Wrong usage or input.

    `fact`: what is wrong, naming the file. `field`: the setting that it concerns, whose value is `value` where that
    says more than its name. `hint`: what to do. It names settings as <device>, <device=cpu> or <resume=False>, so
    nothing that a user has named may stand in it.
    """

    def __init__(self, fact: str, *, field: str | None = None, value: object = None, hint: str | None = None) -> None:
        super().__init__(fact)
        self.fact, self.field, self.value, self.hint = fact, field, value, hint

    def __str__(self) -> str:
        return self.message(_as_in_python)

    def message(self, naming: Naming) -> str:
        """All of it in one line: "FIELD=VALUE: FACT; HINT"."""
        concerns = f"{naming(self.field, self.value)}: " if self.field is not None else ""
        hint = _SETTING.sub(lambda found: naming(found[1], found[2]), f"; {self.hint}") if self.hint else ""
        return f"{concerns}{self.fact}{hint}"


def reason(error: OSError) -> str:
    """Why the system refused; some libraries raise OSError with their own words and none of the system's."""
    return error.strerror or str(error) or type(error).__name__


def told(error: OSError, where: object = None) -> str:
    """In a line: the file, or else `where` it may have been, and why the system refused."""
    return f"{error.filename or where or 'system'}: {reason(error)}"


class Unavailable(UserError):
    """A service that is there gives no answer: nothing need be wrong, and the same may work later."""


class MachineError(UserError):
    """The same of this machine: it lacks something, or what it has does not work. The doctor may tell more."""

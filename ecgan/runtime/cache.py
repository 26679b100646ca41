"""Where compiled code is kept, and the logs of compiling it."""

from __future__ import annotations

import os
from pathlib import Path

from ecgan.errors import UserError

_HINT = "set ECGAN_CACHE to a folder for compiled code"


def cache_dir() -> Path:
    """ECGAN_CACHE if it says anything, else ecgan/ in the user's cache folder.

    Raises UserError if the variable names no absolute path, or says nothing and the user has no such folder.
    """
    if named := os.environ.get("ECGAN_CACHE"):
        return _named(named)
    users = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if users.is_absolute():  # of others its specification says that they don't count
        return users / "ecgan"
    user = home()
    if user is None:
        raise _no_home()
    return user.absolute() / ".cache/ecgan"


def _named(text: str) -> Path:
    """A relative path would be another folder for whoever is started elsewhere, and all compiled anew in it."""
    try:
        path = Path(text).expanduser()
    except RuntimeError:  # ~ of nobody
        if text.partition("/")[0] == "~":
            raise _no_home() from None
        raise UserError(f"ECGAN_CACHE is {text}: there is no such user", hint=_HINT) from None
    if not path.is_absolute():
        raise UserError(f"ECGAN_CACHE is {text!r}, no absolute path", hint=_HINT)
    return path


def _no_home() -> UserError:
    return UserError(f"user {os.getuid()} has no home folder (no HOME, no entry among the users)", hint=_HINT)


def home() -> Path | None:
    """The user's home folder; None for one who has none, as in a container that knows but a number."""
    try:
        return Path.home()
    except RuntimeError:
        return None


def log_dir() -> Path:
    return cache_dir() / "logs"

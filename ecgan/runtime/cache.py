"""Where compiled code is kept, and the logs of compiling it."""

from __future__ import annotations

import os
from pathlib import Path

from ecgan.errors import UserError


def cache_dir() -> Path:
    """ECGAN_CACHE, else ecgan/ in the user's cache folder. Raises UserError if the user has none."""
    named = os.environ.get("ECGAN_CACHE")
    if named and not named.startswith("~"):
        return Path(named).absolute()
    if not named and os.environ.get("XDG_CACHE_HOME"):
        return Path(os.environ["XDG_CACHE_HOME"]).absolute() / "ecgan"
    user = home()
    if user is None:
        fact = f"user {os.getuid()} has no home folder (no HOME, no entry among the users)"
        raise UserError(fact, hint="set ECGAN_CACHE to a folder for compiled code")
    return Path(named).expanduser().absolute() if named else user.absolute() / ".cache/ecgan"


def home() -> Path | None:
    """The user's home folder; None for one who has none, as in a container that knows but a number."""
    try:
        return Path.home()
    except RuntimeError:
        return None


def log_dir() -> Path:
    return cache_dir() / "logs"

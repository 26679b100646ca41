"""Where compiled code is kept, and the logs of compiling it."""

from __future__ import annotations

import os
from pathlib import Path


def cache_dir() -> Path:
    """ECGAN_CACHE, else ecgan/ in the user's cache folder."""
    if os.environ.get("ECGAN_CACHE"):
        return Path(os.environ["ECGAN_CACHE"]).expanduser().absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").absolute() / "ecgan"


def log_dir() -> Path:
    return cache_dir() / "logs"

"""The project's own configs/, which are found from any folder, from a checkout and where the commands are installed."""

from __future__ import annotations

import os
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[1]


def found(path: Path, field: str | None) -> Path:
    """`path`, given as the option `field` (None: as a word without one); or the project's file that is called so,
    as configs/recommended.yaml, if nothing else is, which is told."""
    own = PROJECT / path
    if path.parts[:1] != ("configs",) or os.path.lexists(path) or not own.is_file():
        return path
    print(f"note: {f'--{field} ' if field else ''}{path} is the project's own, {own}", file=sys.stderr)
    return own

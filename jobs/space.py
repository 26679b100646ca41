"""Whether what a run will write has room, known before it starts."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from ecgan.errors import UserError
from ecgan.files import nearest


def insist_on_space(option: str, path: Path, needed: int, what: str, hint: str = "") -> None:
    """Raises UserError unless `path`, which need not exist yet, can be written and has room for `needed` bytes.

    `option` chose it; `what` says what takes the room, as "12 pictures".
    """
    folder = nearest(path)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UserError(f"{option} {path}: {folder} is not writable")
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise UserError(
            f"{option} {path}: {what} may take {needed >> 20} MiB, {folder} has {free >> 20} MiB free{hint}"
        )

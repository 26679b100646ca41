"""What lies among a run's pictures and is not of the run: it is somebody's, so it is moved aside, and stops nothing."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection

from ecgan.data.folders import is_dropping
from jobs.generate.replacing import free_name, some
from jobs.run.folder import RunDir


def set_aside(run: RunDir, ours: Collection[str]) -> None:
    """Moves what is neither one of the files `ours` nor left by an operating system from images/ to strays/."""
    strays = sorted(name for name in os.listdir(run.images) if name not in ours and not is_dropping(name))
    if not strays:
        return
    run.strays.mkdir(exist_ok=True)
    for name in strays:
        os.rename(run.images / name, free_name(run.strays / name))
    print(f"note: {run.images} held {some(strays)} not of this run: moved to {run.strays}", file=sys.stderr, flush=True)

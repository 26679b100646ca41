"""A run's folder in a command's hands: made, locked, and used by nobody else."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from ecgan.errors import UserError
from jobs.run import lock
from jobs.run.find import is_run
from jobs.run.folder import RunDir
from launch import on_cluster


@contextlib.contextmanager
def taken(run: RunDir, *folders: Path) -> Iterator[int]:
    """The run's folder, with `folders` in it, is this command's: gives the descriptor of its lock.

    Raises UserError if it can't be made, or something else works on it: a command or jobs in a queue. What is refused
    before there is a plan leaves no folder that was not there.
    """
    made = [folder for folder in (*folders, run.logs, run.path, *run.path.parents) if not folder.exists()]
    try:
        run.create(*folders)
        with lock.held(run) as descriptor:
            try:
                on_cluster.forget_submission(run)
                run.clear_temporaries()
                yield descriptor
            except UserError:
                if run.path in made and not is_run(run.path):
                    run.lock.unlink()
                raise
    except UserError:
        for folder in made:
            with contextlib.suppress(OSError):  # there is something in it
                folder.rmdir()
        raise

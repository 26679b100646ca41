"""A run's folder in a command's hands: made, locked, and used by nobody else."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

from ecgan.errors import UserError
from jobs.run import lock
from jobs.run.find import is_run
from jobs.run.folder import JOB, RunDir
from launch import on_cluster
from slurm.processes.session import Session

#: Seconds in which ranks whose mpirun and launcher were killed finish their step, save and end.
_RANKS_END = 60


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
                _wait_for_ranks(run)
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


def _wait_for_ranks(run: RunDir) -> None:
    """mpirun hands no lock on to its ranks, which may write for a while when it has been killed. Raises UserError."""
    session, deadline = Session.of(run.logs), time.monotonic() + _RANKS_END
    while session.is_taken:
        if time.monotonic() > deadline:
            raise UserError(
                f"{run.path} is in use by ranks whose launcher was killed (python -m slurm.processes.rank "
                f"{run.logs / JOB}): end them, or choose another {run.option}"
            )
        time.sleep(0.1)

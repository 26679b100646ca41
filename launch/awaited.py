"""Whether a run that somebody waits for has ended, and how: its files are asked, and before they are believed the
scheduler, where one has its jobs."""

from __future__ import annotations

import time
from pathlib import Path

from ecgan.progress import progress_bar
from jobs.run.folder import RunDir
from jobs.run.status import Status, read_status
from jobs.run.submission import read_submission
from launch.scheduler import scheduler_of, with_scheduler

#: Seconds between two looks at the run's files, and at the scheduler.
_TICK, _ASK = 1.0, 10.0
#: Seconds between two looks at a run that seems to have died, and how many of these must find it so.
_AGAIN, _SURE = 5.0, 3


def ended(run: Path) -> Status | None:
    """How it has ended; None if it goes on. Takes some seconds where nobody has said so, for files may not have come
    through yet. Raises UserError if there is no such run."""
    for look in range(_SURE):
        [status] = with_scheduler([read_status(run)])
        if not status.is_over:
            return None
        if not status.state.is_presumed:
            break
        time.sleep(_AGAIN if look + 1 < _SURE else 0)
    return status


def jobs_left(run: Path) -> list[str]:
    """Its jobs that have not ended, as far as its scheduler tells."""
    submission = read_submission(RunDir(run).submission)
    states = scheduler_of(submission).job_states(submission.ids) if submission else None
    return sorted({state.id.split("_")[0] for state in (states or {}).values() if not state.is_over})


def watch(run: Path, title: str) -> Status:
    """Shows how far it is until it has ended; returns how. Raises UserError if there is no such run any more."""
    status = read_status(run)
    asked, absent = 0.0, 0
    with progress_bar(status.total or 0, title, status.unit, initial=status.done or 0) as bar:
        while True:
            if status.is_over or time.monotonic() - asked >= _ASK:
                asked = time.monotonic()
                [status] = with_scheduler([status])
                absent = absent + 1 if status.is_over else 0
            bar.total = status.total or 0  # of a run that waits for another it is not known at first
            if status.done is not None and status.done > bar.n:
                bar.update(status.done - bar.n)
            if status.is_over and (not status.state.is_presumed or absent >= _SURE):
                return status
            if not status.state.is_at_work:
                bar.unpause()
            words = ", ".join([status.state, *status.scheduler[:1]])
            if words != bar.postfix:
                bar.set_postfix_str(words)
            time.sleep(_TICK)
            status = read_status(run)

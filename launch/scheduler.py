"""The scheduler's word on runs, beside what their files tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ecgan.errors import UserError
from jobs.run.folder import RunDir
from jobs.run.state import State
from jobs.run.status import Status
from jobs.run.submission import Submission, read_submission
from slurm.scheduler import JobState, Scheduler
from slurm.schedulers import SCHEDULERS


def scheduler_of(submission: Submission) -> Scheduler:
    """Raises UserError if there is no such here."""
    if found := SCHEDULERS.get(submission.scheduler):
        return found
    raise UserError(f"jobs {', '.join(submission.ids)} are of {submission.scheduler}, which this version does not know")


def with_scheduler(statuses: Sequence[Status]) -> list[Status]:
    """Adds what the scheduler says of jobs that may still be going on, where one answers."""
    found = {status.path: read_submission(RunDir(Path(status.path)).submission) for status in statuses if status.jobs}
    asked: dict[str, list[str]] = {}
    for status in statuses:
        if (submission := found.get(status.path)) and not status.state.is_settled:
            asked.setdefault(submission.scheduler, []).extend(status.jobs)
    said = {name: SCHEDULERS[name].job_states(ids) for name, ids in asked.items() if name in SCHEDULERS}
    result = []
    for status in statuses:
        submission = found.get(status.path)
        states = said.get(submission.scheduler) if submission and not status.state.is_settled else None
        if submission and states is not None:
            status = corrected(status, list(states.values()), scheduler_of(submission).title)
        result.append(status)
    return result


def corrected(status: Status, states: Sequence[JobState], scheduler: str) -> Status:
    """`status` with the lines on its jobs among `states`, and the state that follows from both.

    A run that was stopped goes on if its job is in the queue again; one whose jobs are gone does not,
    whatever its files say.
    """
    ours = [state for state in states if state.id.split("_")[0] in status.jobs]
    active = [state for state in ours if not state.is_over]
    lines = tuple(in_words(state) for state in ours if not state.standing.is_success)
    if active:
        going_on = State.STOPPING if all(state.standing.is_ending for state in active) else State.REQUEUED
        return replace(status, scheduler=lines, state=going_on if status.state.is_stop else status.state)
    ended = next((state for state in ours if not state.standing.is_success), None)
    if ended is None and status.state.is_stop:
        return replace(status, scheduler=lines)
    state = ended.standing if ended else State.DIED
    reason = status.error or f"no job of it is left in {scheduler}'s queue{f' ({ended.state})' if ended else ''}"
    return replace(status, scheduler=lines, state=state, error=reason)


def in_words(state: JobState) -> str:
    """ "123_4 RUNNING on n2", "124 PENDING (Dependency)"."""
    where = f" on {state.nodes}" if state.nodes and not state.is_over else ""
    return f"{state.id} {state.state}{where}" + (f" ({state.reason})" if state.reason else "")

"""The scheduler's word on runs, beside what their files tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from jobs.run.state import State
from jobs.run.status import Status
from slurm import controller
from slurm.controller import JobState


def with_scheduler(statuses: Sequence[Status]) -> list[Status]:
    """Adds what the scheduler says of jobs that may still be going on, where one answers."""
    ids = [job for status in statuses if not status.state.is_settled for job in status.jobs]
    states = controller.job_states(ids) if ids else None
    if states is None:
        return list(statuses)
    return [status if status.state.is_settled else corrected(status, list(states.values())) for status in statuses]


def corrected(status: Status, states: Sequence[JobState]) -> Status:
    """`status` with the lines on its jobs among `states`, and the state that follows from both.

    A run that was stopped goes on if its job is in the queue again; one whose jobs are gone does not,
    whatever its files say.
    """
    ours = [state for state in states if state.id.split("_")[0] in status.jobs]
    if not status.jobs:
        return status
    active = [state for state in ours if not state.is_over]
    lines = tuple(in_words(state) for state in ours if state.state != "COMPLETED")
    if active:
        going_on = State.STOPPING if all(state.state == "COMPLETING" for state in active) else State.REQUEUED
        return replace(status, scheduler=lines, state=going_on if status.state.is_stop else status.state)
    ended = next((state.state for state in ours if state.state != "COMPLETED"), None)
    if ended is None and status.state.is_stop:
        return replace(status, scheduler=lines)
    state = State.CANCELLED if ended == "CANCELLED" else State.DIED
    reason = status.error or f"no job of it is left in Slurm's queue{f' ({ended})' if ended else ''}"
    return replace(status, scheduler=lines, state=state, error=reason)


def in_words(state: JobState) -> str:
    """ "123_4 RUNNING on n2", "124 PENDING (Dependency)"."""
    where = f" on {state.nodes}" if state.nodes and not state.is_over else ""
    return f"{state.id} {state.state}{where}" + (f" ({state.reason})" if state.reason else "")

"""How a run on a cluster stands: what its submission and its attempts tell, whatever the scheduler may say."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from jobs.run import attempts, clock
from jobs.run.attempts import AFTER, MERGE, TRAINING, Details
from jobs.run.folder import RunDir
from jobs.run.kind import Kind
from jobs.run.progress import Shard
from jobs.run.record import RunRecord
from jobs.run.state import State
from jobs.run.submission import Submission

#: Of each unit (training, shard-3, merge) what is known of its attempts, oldest first.
Tries = dict[str, list[Details]]


@dataclass(frozen=True)
class ClusterRun:
    """`error`, `log`: of the attempt that failed; `updated`: the attempts' last word."""

    state: State
    tries: Tries
    error: str | None
    log: str | None
    updated: str | None


def on_cluster(
    run: RunDir, submission: Submission, written: RunRecord, shards: list[Shard], now: datetime
) -> ClusterRun:
    tries = _tries(run, submission)
    last = {unit: known[-1] for unit, known in tries.items()}
    updated = max((known.updated for known in last.values() if known.updated), default=None)
    failed = next((known for known in last.values() if known.outcome and known.outcome.is_failure), Details())
    state = _state(submission, written.state, last)
    words = [updated, written.updated, *(shard.updated for shard in shards)]
    # While an experiment's stages run, its own jobs wait for them, and say nothing.
    speaks = written.kind is not Kind.EXPERIMENT
    if state.ends_unsaid and speaks and clock.is_long_ago(max(filter(None, words), default=None), now):
        state = State.SILENT
    return ClusterRun(state, tries, failed.message, failed.log, updated)


def _tries(run: RunDir, submission: Submission) -> Tries:
    """Of this submission's jobs alone: the run may have had others before."""
    found: Tries = {}
    for attempt in attempts.every(run.attempts):
        known = attempt.details
        if (known.job or "").split("_")[0] in submission.ids:
            found.setdefault(attempt.unit, []).append(known)
    return found


def _state(submission: Submission, said: State, last: dict[str, Details]) -> State:
    if said.is_settled:
        return said
    if submission.cancelled is not None:
        return State.CANCELLED
    if not last:
        return State.SUBMITTED
    if said.is_own and any(known.outcome is None for known in last.values()):
        return said
    if TRAINING in last:
        return last[TRAINING].outcome or State.STARTING
    if MERGE in last:
        return last[MERGE].outcome or State.MERGING
    if AFTER in last:  # which has begun nothing yet, and knows no more of the run than was known
        outcome = last[AFTER].outcome
        return outcome if outcome and not outcome.is_success else said
    waits = all(known.outcome and known.outcome.goes_on for known in last.values())
    return State.REQUEUED if waits else State.RUNNING

"""How a run on a cluster stands: what its submission and its attempts tell, whatever the scheduler may say."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jobs.run import attempts
from jobs.run.folder import RunDir
from jobs.run.progress import read_all
from jobs.run.submission import Submission

#: Of each unit (training, shard-3, merge) what is known of its attempts, oldest first.
Tries = dict[str, list[dict[str, Any]]]

#: Seconds without a word after which a run that should be running no longer counts as running.
_SILENCE = 15 * 60
#: States that a run has when it has come to its end.
_ENDED = ("done", "incomplete", "failed")


@dataclass(frozen=True)
class ClusterRun:
    """`state` as in `jobs.run.status`; `error`, `log`: of the attempt that failed; `updated`: the last word of all."""

    state: str
    tries: Tries
    error: str | None
    log: str | None
    updated: str | None


def on_cluster(run: RunDir, submission: Submission, written: dict[str, Any], now: datetime) -> ClusterRun:
    """`written`: the run's status.json."""
    tries = _tries(run, submission)
    last = {unit: known[-1] for unit, known in tries.items()}
    updated = max((str(known["updated"]) for known in last.values() if "updated" in known), default=None)
    failed = [known for known in last.values() if known.get("outcome") == "failed"]
    error = str(failed[0].get("message")) if failed else None
    log = str(failed[0].get("log")) if failed else None
    state = _state(submission, written, last)
    words = [updated, written.get("updated"), *(shard.get("updated") for shard in read_all(run.shards))]
    if state in ("starting", "running") and _age(max(str(word) for word in words if word), now) > _SILENCE:
        state = "silent"
    return ClusterRun(state, tries, error, log, updated)


def _tries(run: RunDir, submission: Submission) -> Tries:
    """Of this submission's jobs alone: the run may have had others before."""
    found: Tries = {}
    for attempt in attempts.every(run.attempts):
        known = attempts.details(attempt)
        if str(known.get("job", "")).split("_")[0] in submission.ids:
            found.setdefault(attempt.unit, []).append(known)
    return found


def _state(submission: Submission, written: dict[str, Any], last: dict[str, dict[str, Any]]) -> str:
    said = str(written.get("state", ""))
    if said in _ENDED:
        return said
    if submission.cancelled is not None:
        return "cancelled"
    if not last:
        return "submitted"
    if "training" in last:
        return str(last["training"].get("outcome") or ("running" if said == "running" else "starting"))
    if "merge" in last:
        return str(last["merge"].get("outcome") or "merging")
    outcomes = {known.get("outcome") for known in last.values()}
    return "requeued" if outcomes == {"requeued"} else "running"


def _age(time: str, now: datetime) -> float:
    return (now - datetime.fromisoformat(time)).total_seconds()

"""How a run stands, from its files alone: any process on any machine that sees them may ask."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ecgan.errors import UserError
from jobs.run import failures, lock, record
from jobs.run.attempts import TRAINING, shard_unit
from jobs.run.clock import is_long_ago, moment
from jobs.run.cluster import Tries, on_cluster
from jobs.run.find import is_run
from jobs.run.folder import RunDir
from jobs.run.kind import Kind
from jobs.run.progress import Shard, read_shards
from jobs.run.record import RunRecord
from jobs.run.state import State
from jobs.run.submission import read_submission
from jobs.run.values import to_json


@dataclass(frozen=True, kw_only=True)
class Status(RunRecord):
    """The record, corrected by what the run's other files tell.

    `requeues`: how often a training was started again by the scheduler. `jobs`: ids of the jobs on a
    cluster; `scheduler`: what the scheduler says of them, if somebody has asked it.
    """

    path: str
    shards: tuple[Shard, ...] = ()
    requeues: int = 0
    jobs: tuple[str, ...] = ()
    scheduler: tuple[str, ...] = ()

    @property
    def is_over(self) -> bool:
        """Whether nothing of it will change until somebody runs it again."""
        return not self.state.goes_on

    def to_json(self) -> dict[str, Any]:
        """Everything, for json.dumps; losses that are not finite as words that float() reads. `step` and `last_state`:
        for scripts of before, what the record has under other names."""
        losses = {name: to_json(value) for name, value in (self.losses or {}).items()}
        step = self.done if self.kind is Kind.TRAINING else None
        former = {"step": step, "last_state": self.last_checkpoint}
        return asdict(self) | former | {"losses": losses, "is_over": self.is_over}


def read_status(path: Path, now: datetime | None = None) -> Status:
    """Raises UserError if `path` is not the folder of a run. `now`: by default it is."""
    if not is_run(path):
        raise UserError(f"{path} is not the folder of a run: it has neither status.json nor plan.json")
    run = RunDir(path)
    written = record.read(run)
    status = Status(path=str(path), **vars(written))
    if written.state is State.UNREADABLE:
        return status
    shards = read_shards(run.shards)
    submission = read_submission(run.submission)
    at = now or datetime.now(timezone.utc)
    if submission is None:
        return _completed(run, replace(status, state=_state_here(run, written, at)), shards, {})
    cluster = on_cluster(run, submission, written, shards, at)
    status = replace(status, state=cluster.state, jobs=tuple(submission.ids))
    # Nobody writes the record while shards run.
    if shards and written.before is not None and not written.state.is_settled:
        done = written.before + sum(shard.done for shard in shards)
        status = replace(status, done=done, failed=sum(shard.failed for shard in shards))
    shards = [_tried(shard, cluster.tries) for shard in shards]
    status = _completed(run, status, shards, cluster.tries)
    return replace(
        status,
        error=status.error or cluster.error,
        log=cluster.log or status.log,
        updated=_last(status.updated, cluster.updated),
    )


def _state_here(run: RunDir, written: RunRecord, now: datetime) -> State:
    """What the run says of itself, unless the lock tells better."""
    said = written.state
    if said is State.PLANNED:
        if not run.lock.exists():
            return said
        said = State.STARTING
    if said.begins_again:
        return State.STARTING if lock.is_held(run) else said
    if not said.ends_unsaid or lock.is_held(run) is not False:
        return said
    if not lock.holder(run).is_elsewhere:
        return State.DIED
    # Some file systems keep locks of other machines to themselves: not to see one proves nothing.
    return State.SILENT if is_long_ago(written.updated, now) else said


def _completed(run: RunDir, status: Status, shards: list[Shard], tries: Tries) -> Status:
    logs = str(run.logs) if run.logs.is_dir() and any(run.logs.iterdir()) else None
    status = replace(status, log=status.log or logs)
    if status.kind is Kind.TRAINING:
        return replace(status, requeues=max(0, len(tries.get(TRAINING, [])) - 1))
    return _sharded(run, status, shards)


def _sharded(run: RunDir, status: Status, shards: list[Shard]) -> Status:
    speed = _speed(shards) if status.state.is_at_work else None
    left = None
    if status.total is not None and status.done is not None:
        left = status.total - status.done - (status.failed or 0)
    errors = [f"shard {shard.number}: {shard.error}" for shard in shards if shard.error]
    return replace(
        status,
        images_per_second=speed,
        eta_seconds=left / speed if speed and left is not None else None,
        hosts=tuple(dict.fromkeys(shard.host for shard in shards if shard.host)),
        error=status.error or (errors[-1] if errors else _last_failure(run, status.state)),
        updated=_last(status.updated, *(shard.updated for shard in shards)),
        shards=tuple(shards if status.state.goes_on else map(_after_the_end, shards)),
    )


def _tried(shard: Shard, tries: Tries) -> Shard:
    """With what its attempts tell."""
    known = tries.get(shard_unit(shard.number))
    if not known:
        return shard
    last, state = known[-1], shard.state
    if last.outcome is not None and (state.ends_unsaid or state.is_stop):
        state = last.outcome
    error = shard.error or (last.message if last.outcome and last.outcome.is_failure else None)
    return replace(shard, state=state, error=error, requeues=len(known) - 1)


def _after_the_end(shard: Shard) -> Shard:
    return replace(shard, state=State.CUT_OFF) if shard.state.ends_unsaid else shard


def _speed(shards: Iterable[Shard]) -> float | None:
    """Pictures a second, of all shards together since the first of them began."""
    known = [shard for shard in shards if shard.started and shard.updated]
    started = [time for shard in known if (time := moment(shard.started))]
    updated = [time for shard in known if (time := moment(shard.updated))]
    seconds = (max(updated) - min(started)).total_seconds() if started and updated else 0
    return sum(shard.done for shard in known) / seconds if seconds > 0 else None


def _last_failure(run: RunDir, state: State) -> str | None:
    """The last of the pictures that failed, and how many did, of a run that leaves something to do."""
    if not state.begins_again:
        return None
    try:
        found, _ = failures.read(run.failures)
    except UserError:
        return None
    if not found:
        return None
    return f"{found[-1].name}: {found[-1].reason}" + (f" ({len(found)} such in {run.failures})" if found[1:] else "")


def _last(*moments: str | None) -> str | None:
    return max(filter(None, moments), default=None)

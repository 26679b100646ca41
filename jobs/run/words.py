"""How a run stands, in words for a person."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable
from datetime import datetime, timezone
from pathlib import Path

from jobs.run.clock import age, duration
from jobs.run.progress import Shard
from jobs.run.status import Status


def describe(status: Status, now: datetime | None = None) -> list[str]:
    """Lines. `now`: by default it is."""
    lines = [f"{status.path}: {status.kind}, {status.state.words}"]
    for name, text in _rows(status, now or datetime.now(timezone.utc)):
        lines.append(f"  {name:<10}{text}")
    return lines


def _rows(status: Status, now: datetime) -> Iterable[tuple[str, str]]:
    if status.total is not None:
        yield f"{status.unit}s", _progress(status)
    if speed := _speed(status):
        yield "speed", speed
    if status.losses:
        yield "losses", "  ".join(f"{name} {value:.4g}" for name, value in status.losses.items())
    if status.hosts:
        yield "on", ", ".join(status.hosts) + _ranks(status)
    if status.jobs:
        yield "jobs", ", ".join(status.jobs) + _requeued(status.requeues)
    if status.waits_for and not status.is_over:
        yield "waits for", status.waits_for
    for line in status.scheduler:
        yield "queue", line
    if status.last_checkpoint:
        yield "saved", _with_age(Path(status.path), status.last_checkpoint, now)
    for shard in status.shards:
        yield f"shard {shard.number}", _shard(shard)
    if status.warning:
        yield "warning", status.warning
    if status.error:
        yield "error", status.error
        if status.log:
            yield "log", status.log
    if (seconds := age(status.updated, now)) is not None:
        yield "updated", f"{duration(seconds)} ago"


def pace(status: Status) -> str:
    """How far it is and how fast, in a line: "340 of 1000 (34 %) pictures, 4.01 pictures/s, about 2 min 44 s to go"."""
    parts = [] if status.total is None else [f"{_progress(status)} {status.unit}s"]
    return ", ".join(filter(None, [*parts, _speed(status)]))


def _speed(status: Status) -> str:
    if status.is_over or not status.images_per_second:
        return ""
    left = "" if status.eta_seconds is None else f", about {duration(status.eta_seconds)} to go"
    return f"{status.images_per_second:.3g} pictures/s{left}"


def _progress(status: Status) -> str:
    text = f"{status.done or 0} of {status.total}"
    if status.total:
        text += f" ({math.floor(100 * (status.done or 0) / status.total)} %)"
    if status.epoch is not None:
        text += f", epoch {status.epoch}" + (f" of {status.epochs}" if status.epochs is not None else "")
    return text + _failed(status.failed) + (f", {status.missing} missing" if status.missing else "")


def _failed(count: int | None) -> str:
    return f", {count} failed" if count else ""


def _requeued(count: int) -> str:
    return f", requeued {count} time(s)" if count else ""


def _ranks(status: Status) -> str:
    parts = [status.device] if status.device else []
    if status.ranks is not None:
        parts.insert(0, f"{status.ranks} rank{'s' if status.ranks != 1 else ''}")
    return f" ({', '.join(parts)})" if parts else ""


def _shard(shard: Shard) -> str:
    where = f" on {shard.host}" if shard.host and shard.state.ends_unsaid else ""
    return f"{shard.state:<8}  {shard.done} of {shard.total}{_failed(shard.failed)}{where}{_requeued(shard.requeues)}"


def _with_age(run: Path, state: str, now: datetime) -> str:
    path = Path(state)
    shown = path.relative_to(run.absolute()) if path.is_relative_to(run.absolute()) else path
    with contextlib.suppress(OSError):
        return f"{shown}, {duration(now.timestamp() - path.stat().st_mtime)} ago"
    return f"{shown}, which is no longer there"

"""How a run stands, from its files alone: any process on any machine that sees them may ask."""

from __future__ import annotations

import contextlib
import fcntl
import json
import math
import os
import socket
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ecgan.errors import UserError
from jobs.run.cluster import Tries, on_cluster
from jobs.run.folder import RunDir
from jobs.run.submission import read_submission
from jobs.train.metrics import to_json

#: States of a run that still goes on, or may; all others are its last until the command is run again.
_GOING_ON = ("planned", "submitted", "starting", "running", "requeued", "merging", "stopping", "silent")
#: States that a run does not leave by itself without saying so.
_UNSAID = ("starting", "running")
#: What a run leaves that ended without having done everything; the lock tells that it has begun again.
_UNFINISHED = ("stopped", "failed", "incomplete")
#: Seconds without a word after which a run on another machine is no longer taken to be running.
_SILENCE = 15 * 60
#: How deep runs may lie below a folder.
_DEPTH = 3


@dataclass(frozen=True)
class ShardStatus:
    """One part of a generation. `state`: starting, running, done, stopped, failed, or cut off by a death."""

    number: int
    state: str
    done: int
    failed: int
    total: int
    host: str | None
    error: str | None
    started: str | None
    updated: str | None
    requeues: int = 0


@dataclass(frozen=True)
class Status:
    """A run. `done` of `total` are steps of a training, else pictures; None: not known (yet).

    `state`: as the run wrote it (running, done, stopped, failed, incomplete, …), or what can be seen
    without it: planned (not begun), starting, died (no process holds it), silent (on another machine,
    and it has not been heard of for long), unreadable. Of one on a cluster: submitted (no job of it has
    begun), requeued, merging, cancelled, and with the scheduler's word stopping.
    `requeues`: how often a training was started again by the scheduler. `jobs`: ids of the jobs on a
    cluster; `scheduler`: what the scheduler says of them, if somebody has asked it.
    """

    path: str
    kind: str
    state: str
    done: int | None = None
    total: int | None = None
    failed: int | None = None
    epoch: int | None = None
    epochs: int | None = None
    images_per_second: float | None = None
    eta_seconds: float | None = None
    losses: dict[str, float] | None = None
    ranks: int | None = None
    device: str | None = None
    hosts: tuple[str, ...] = ()
    last_state: str | None = None
    warning: str | None = None
    error: str | None = None
    log: str | None = None
    updated: str | None = None
    shards: tuple[ShardStatus, ...] = ()
    requeues: int = 0
    jobs: tuple[str, ...] = ()
    scheduler: tuple[str, ...] = ()

    @property
    def is_over(self) -> bool:
        """Whether nothing of it will change until somebody runs it again."""
        return self.state not in _GOING_ON

    def to_json(self) -> dict[str, Any]:
        """Everything, for json.dumps; losses that are not finite as words that float() reads."""
        losses = {name: to_json(value) for name, value in (self.losses or {}).items()}
        return asdict(self) | {"losses": losses, "is_over": self.is_over}


def is_run(path: Path) -> bool:
    run = RunDir(path)
    return run.status.is_file() or run.plan.is_file()


def runs_here(folder: Path) -> list[Path]:
    """Where commands that are started in `folder` put their runs by default: NAME.run, NAME.score, and below runs/."""
    beside = [*folder.glob("*.run"), *folder.glob("*.score")]
    return [*sorted(path for path in beside if is_run(path)), *find_runs(folder / "runs")]


def find_runs(folder: Path, depth: int = _DEPTH) -> list[Path]:
    """`folder` if it is a run, else those below it. What lies inside a run is its own."""
    if is_run(folder):
        return [folder]
    found: list[Path] = []
    with contextlib.suppress(OSError):  # not a folder, or none that we may look into
        for path in sorted(folder.iterdir()) if depth else ():
            found += find_runs(path, depth - 1)
    return found


def read_status(path: Path, now: datetime | None = None) -> Status:
    """Raises UserError if `path` is not the folder of a run. `now`: by default it is."""
    if not is_run(path):
        raise UserError(f"{path} is not the folder of a run: it has neither status.json nor plan.json")
    run = RunDir(path)
    try:
        written = dict(json.loads(run.status.read_text(encoding="utf-8"))) if run.status.is_file() else {}
    except (OSError, ValueError, TypeError):
        return Status(str(path), "run", "unreadable", error=f"{run.status} can't be read as JSON")
    moment = now or datetime.now(timezone.utc)
    reading = _training if _is_training(run, written) else _generation
    submission = read_submission(run.submission)
    if submission is None:
        return reading(run, written, _state_of(run, written, moment))
    cluster = on_cluster(run, submission, written, moment)
    status = reading(run, written, cluster.state, cluster.tries)
    return replace(
        status,
        error=status.error or cluster.error,
        log=cluster.log or status.log,
        jobs=tuple(submission.ids),
        updated=max(filter(None, [status.updated, cluster.updated]), default=None),
    )


def describe(status: Status, now: datetime | None = None) -> list[str]:
    """Lines for a person."""
    lines = [f"{status.path}: {status.kind}, {_STATES.get(status.state, status.state)}"]
    for name, text in _rows(status, now or datetime.now(timezone.utc)):
        lines.append(f"  {name:<10}{text}")
    return lines


_AGAIN = "run the same command again to go on"
_STATES = {
    "planned": "not begun",
    "died": f"died: no process holds it; {_AGAIN}",
    "stopped": f"stopped; {_AGAIN}",
    "failed": f"failed; {_AGAIN} once the reason is mended",
    "incomplete": "incomplete: pictures are missing; the same command makes them",
    "submitted": "submitted: no job of it has begun yet",
    "requeued": "back in the queue; it goes on when Slurm starts it again",
    "stopping": "stopping: its processes are ending",
    "merging": "all shards have ended; the results are being verified",
    "silent": "silent: it runs elsewhere and has not been heard of for long, so perhaps it died",
}


def _rows(status: Status, now: datetime) -> Iterable[tuple[str, str]]:
    unit = "steps" if status.kind == "training" else "pictures"
    if status.total is not None:
        yield unit, _progress(status)
    if not status.is_over and status.images_per_second:
        left = "" if status.eta_seconds is None else f", about {duration(status.eta_seconds)} to go"
        yield "speed", f"{status.images_per_second:.3g} pictures/s{left}"
    if status.losses:
        yield "losses", "  ".join(f"{name} {value:.4g}" for name, value in status.losses.items())
    if status.hosts:
        yield "on", ", ".join(status.hosts) + _ranks(status)
    if status.jobs:
        yield "jobs", ", ".join(status.jobs) + (f", requeued {status.requeues} time(s)" if status.requeues else "")
    for line in status.scheduler:
        yield "slurm", line
    if status.last_state:
        yield "saved", _with_age(Path(status.path), status.last_state, now)
    for shard in status.shards:
        yield f"shard {shard.number}", _shard(shard)
    if status.warning:
        yield "warning", status.warning
    if status.error:
        yield "error", status.error
        if status.log:
            yield "log", status.log
    if (age := _age(status.updated, now)) is not None:
        yield "updated", f"{duration(age)} ago"


def duration(seconds: float) -> str:
    """In the two largest units: "2 d 3 h", "1 h 12 min", "3 min 20 s"."""
    left = max(0, round(seconds))
    parts = []
    for name, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, left = divmod(left, size)
        parts.append((count, name))
    first = next((index for index, (count, _) in enumerate(parts) if count), len(parts) - 1)
    return " ".join(f"{count} {name}" for count, name in parts[first : first + 2] if count) or "0 s"


def _progress(status: Status) -> str:
    text = f"{status.done or 0} of {status.total}"
    if status.total:
        text += f" ({math.floor(100 * (status.done or 0) / status.total)} %)"
    if status.epoch is not None:
        text += f", epoch {status.epoch}" + (f" of {status.epochs}" if status.epochs is not None else "")
    return text + (f", {status.failed} failed" if status.failed else "")


def _ranks(status: Status) -> str:
    parts = [status.device] if status.device else []
    if status.ranks is not None:
        parts.insert(0, f"{status.ranks} rank{'s' if status.ranks != 1 else ''}")
    return f" ({', '.join(parts)})" if parts else ""


def _shard(shard: ShardStatus) -> str:
    failed = f", {shard.failed} failed" if shard.failed else ""
    where = f" on {shard.host}" if shard.host and shard.state in _UNSAID else ""
    again = f", requeued {shard.requeues} time(s)" if shard.requeues else ""
    return f"{shard.state:<8}  {shard.done} of {shard.total}{failed}{where}{again}"


def _with_age(run: Path, state: str, now: datetime) -> str:
    path = Path(state)
    shown = path.relative_to(run.absolute()) if path.is_relative_to(run.absolute()) else path
    with contextlib.suppress(OSError):
        return f"{shown}, {duration(now.timestamp() - path.stat().st_mtime)} ago"
    return f"{shown}, which is no longer there"


def _is_training(run: RunDir, written: dict[str, Any]) -> bool:
    """A run that has not written its status yet shows by its folders what it is."""
    return written.get("kind") == "training" if "kind" in written else run.states.is_dir()


def _training(run: RunDir, written: dict[str, Any], state: str, tries: Tries | None = None) -> Status:
    losses = written.get("losses")
    return Status(
        path=str(run.path),
        kind="training",
        state=state,
        done=_integer(written.get("step")),
        total=_integer(written.get("total")),
        epoch=_integer(written.get("epoch")),
        epochs=_integer(written.get("epochs")),
        images_per_second=_number(written.get("images_per_second")),
        eta_seconds=_number(written.get("eta_seconds")),
        losses=_losses(losses) if isinstance(losses, dict) else None,
        ranks=_integer(written.get("ranks")),
        device=_text(written.get("device")),
        hosts=_texts(written.get("hosts")),
        last_state=_text(written.get("last_state")),
        warning=_text(written.get("warning")),
        error=_text(written.get("error")),
        log=_text(written.get("log")) or _logs(run),
        updated=_text(written.get("updated")),
        requeues=max(0, len((tries or {}).get("training", [])) - 1),
    )


def _generation(run: RunDir, written: dict[str, Any], state: str, tries: Tries | None = None) -> Status:
    shards = tuple(_read_shards(run))
    if tries is not None:
        shards = tuple(_on_cluster(shard, tries.get(f"shard-{shard.number}", [])) for shard in shards)
        if state in _GOING_ON and "before" in written:  # nobody writes the run's status while shards run
            written = written | {
                "done": written["before"] + sum(shard.done for shard in shards),
                "failed": sum(shard.failed for shard in shards),
            }
    done, failed, total = (_integer(written.get(name)) for name in ("done", "failed", "total"))
    speed = _speed(shards) if state == "running" else None
    left = None if done is None or total is None else total - done - (failed or 0)
    errors = [f"shard {shard.number}: {shard.error}" for shard in shards if shard.error]
    return Status(
        path=str(run.path),
        kind=_text(written.get("kind")) or "generation",
        state=state,
        done=done,
        total=total,
        failed=failed,
        images_per_second=speed,
        eta_seconds=left / speed if speed and left is not None else None,
        hosts=tuple(dict.fromkeys(shard.host for shard in shards if shard.host)),
        error=_text(written.get("error")) or (errors[-1] if errors else _failure(run, state)),
        log=_text(written.get("log")) or _logs(run),
        updated=max(filter(None, [_text(written.get("updated")), *(shard.updated for shard in shards)]), default=None),
        shards=tuple(_after_death(shard) for shard in shards) if state not in _GOING_ON else shards,
    )


def _read_shards(run: RunDir) -> Iterable[ShardStatus]:
    paths = [path for path in run.shards.glob("*.json") if path.stem.isdecimal()]
    for path in sorted(paths, key=lambda path: int(path.stem)):
        try:
            entry = dict(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            continue  # replaced or removed while we looked
        yield ShardStatus(
            number=int(path.stem),
            state=_text(entry.get("state")) or "?",
            done=_integer(entry.get("done")) or 0,
            failed=_integer(entry.get("failed")) or 0,
            total=_integer(entry.get("total")) or 0,
            host=_text(entry.get("host")),
            error=_text(entry.get("error")),
            started=_text(entry.get("started")),
            updated=_text(entry.get("updated")),
        )


def _on_cluster(shard: ShardStatus, tries: list[dict[str, Any]]) -> ShardStatus:
    """With what its attempts tell."""
    if not tries:
        return shard
    outcome = _text(tries[-1].get("outcome"))
    state = outcome if outcome is not None and shard.state in (*_UNSAID, "stopped") else shard.state
    error = shard.error or (_text(tries[-1].get("message")) if outcome == "failed" else None)
    return replace(shard, state=state, error=error, requeues=len(tries) - 1)


def _after_death(shard: ShardStatus) -> ShardStatus:
    return replace(shard, state="cut off") if shard.state in _UNSAID else shard


def _speed(shards: Iterable[ShardStatus]) -> float | None:
    """Pictures a second, of all shards together since the first of them began."""
    known = [shard for shard in shards if shard.started and shard.updated]
    started = [time for shard in known if (time := _time(shard.started))]
    updated = [time for shard in known if (time := _time(shard.updated))]
    seconds = (max(updated) - min(started)).total_seconds() if started and updated else 0
    return sum(shard.done for shard in known) / seconds if seconds > 0 else None


def _failure(run: RunDir, state: str) -> str | None:
    """The last of the pictures that failed, and how many did."""
    if state not in _UNFINISHED or not run.failures.is_file():
        return None
    lines = run.failures.read_text(encoding="utf-8", errors="replace").splitlines()
    try:
        last = json.loads(lines[-1])
        return f"{last['name']}: {last['reason']}" + (f" ({len(lines)} such in {run.failures})" if lines[1:] else "")
    except (ValueError, TypeError, KeyError, IndexError):
        return None


def _state_of(run: RunDir, written: dict[str, Any], now: datetime) -> str:
    """What the run says of itself, unless the lock tells better."""
    state = _text(written.get("state"))
    lock = run.path / "lock"
    if state is None and not lock.exists():
        return "planned"
    if state is not None and state not in (*_UNSAID, *_UNFINISHED):
        return state
    held = _is_held(lock)
    if state in _UNFINISHED:
        return "starting" if held else state
    if held is not False:
        return state or "starting"
    if _holder_of(lock).get("host", socket.gethostname()) == socket.gethostname():
        return "died"
    # Some file systems keep locks of other machines to themselves: not to see one proves nothing.
    age = _age(_text(written.get("updated")), now)
    return "silent" if age is None or age > _SILENCE else state or "starting"


def _is_held(lock: Path) -> bool | None:
    """Whether a process holds the lock; None if that can't be found out. It is let go of at once."""
    try:
        descriptor = os.open(lock, os.O_RDONLY)
    except FileNotFoundError:
        return False
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    except OSError:
        return None
    finally:
        os.close(descriptor)


def _holder_of(lock: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(lock.read_text()))
    except (OSError, ValueError, TypeError):
        return {}


def _logs(run: RunDir) -> str | None:
    return str(run.logs) if run.logs.is_dir() and any(run.logs.iterdir()) else None


def _time(text: str | None) -> datetime | None:
    try:
        time = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=timezone.utc)


def _age(updated: str | None, now: datetime) -> float | None:
    time = _time(updated)
    return (now - time).total_seconds() if time else None


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None


def _integer(value: Any) -> int | None:
    return value if isinstance(value, int) else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) else ()


def _losses(values: dict[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in values.items() if isinstance(value, (int, float))}

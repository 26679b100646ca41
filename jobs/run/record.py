"""The run's record: one small file, status.json, that says what the run is and how it stands, in its own words.

Whoever begins a run begins its record; whoever knows more afterwards, on whatever machine, updates it, and what is not
told stays. How a run really stands (it may have been killed) is `jobs.run.status`'s to find out.
"""

from __future__ import annotations

import contextlib
import dataclasses
from dataclasses import dataclass
from typing import Any

from ecgan.errors import UserError
from ecgan.files import write_json
from jobs.run import attempts, values
from jobs.run.clock import now
from jobs.run.folder import RunDir
from jobs.run.kind import Kind
from jobs.run.state import State

#: What records of before have beside or instead of a field. There `done` of a training was pictures, and `step` steps.
_FORMER = {"step": "done", "last_state": "last_checkpoint"}
_UNKNOWN = Kind("run")


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """What a run says of itself; None: not known (yet).

    `kind`, `state`: what it is, and how it stands. `total`: its steps if it is a training, else its pictures (`unit`).
    `done`, `failed`: how many of them are made and can't be. `missing`: how many were neither at its end.
    `before`: how many were done when it was begun.

    `epoch`: of a training, which it is in, of so many `epochs`. `images_per_second`: its speed, in pictures.
    `eta_seconds`: how long it will still take at that. `losses`: of its last step, by name.
    `ranks`: how many processes it has. `device`: what they compute on. `hosts`: on which machines.
    `last_checkpoint`: path of the last state that was saved.

    `waits_for`: folder of the run that must end well before this one begins.
    `warning`: what went wrong without ending it. `error`: what ended it. `log`: where more is said of that.
    `updated`: when all this was written.
    """

    kind: Kind
    state: State
    total: int | None = None
    done: int | None = None
    failed: int | None = None
    missing: int | None = None
    before: int | None = None
    epoch: int | None = None
    epochs: int | None = None
    images_per_second: float | None = None
    eta_seconds: float | None = None
    losses: dict[str, float] | None = None
    ranks: int | None = None
    device: str | None = None
    hosts: tuple[str, ...] = ()
    last_checkpoint: str | None = None
    waits_for: str | None = None
    warning: str | None = None
    error: str | None = None
    log: str | None = None
    updated: str | None = None

    @property
    def unit(self) -> str:
        """What `total` counts."""
        return self.kind.unit


def begin(run: RunDir, kind: Kind, state: State, **known: Any) -> RunRecord:
    """A new record, whatever was there. `known`: values of RunRecord's fields. Raises Superseded like `update`."""
    return _write(run, RunRecord(kind=kind, state=state, **known))


def update(run: RunDir, state: State | None = None, **changes: Any) -> RunRecord:
    """Changes the record; fields that are not named stay as they are, None forgets one.

    A disk too full for it is no reason to stop: who writes results will say so. Raises Superseded if this process
    belongs to an attempt that must not write any more.
    """
    known = read(run)
    if known.state is State.UNREADABLE:
        known = RunRecord(kind=_kind(run), state=State.PLANNED)
    return _write(run, dataclasses.replace(known, state=state or known.state, **changes))


def read(run: RunDir) -> RunRecord:
    """What the run has said: PLANNED if nothing yet, UNREADABLE if it can't be understood."""
    try:
        said = values.read_object(run.status)
        said |= {name: said[former] for former, name in _FORMER.items() if former in said}
        known = values.fitting(RunRecord, said)
        if "kind" not in known:
            known["kind"] = _kind(run)
        return RunRecord(**known)
    except FileNotFoundError:
        return RunRecord(kind=_kind(run), state=State.PLANNED)
    except (OSError, ValueError, TypeError):
        fault = f"{run.status} can't be read as a run's status"
        return RunRecord(kind=_UNKNOWN, state=State.UNREADABLE, error=fault)


def kind_of(run: RunDir) -> Kind | None:
    """What the run in this folder is, from what it says of itself, else from its plan: "run" if that is of no kind that
    this version knows. None if there is neither, or nothing that can be understood."""
    with contextlib.suppress(OSError, ValueError):
        found = values.read_object(run.status).get("kind")
        if isinstance(found, str):
            return Kind(found)
    with contextlib.suppress(OSError, ValueError):
        if plan := values.read_object(run.plan):
            return next((kind for kind in Kind if kind.plan in plan), _UNKNOWN)
    return None


def insist_on_kind(run: RunDir, kind: Kind) -> None:
    """Raises UserError if the folder is that of a run of another kind, which must not be written over."""
    found = kind_of(run)
    if found not in (None, kind):
        raise UserError(f"{run.option} leads to {run.path}, the folder of a {found}: choose another for a {kind}")


def _write(run: RunDir, record: RunRecord) -> RunRecord:
    attempts.insist_on_newest()
    record = dataclasses.replace(record, updated=now())
    told = {name: value for name, value in vars(record).items() if value is not None and value != ()}
    with contextlib.suppress(OSError):
        write_json(run.status, told)
    return record


def _kind(run: RunDir) -> Kind:
    """What a run that has not said it is: by its plan, else by its folders, as they were before kinds were said."""
    return kind_of(run) or (Kind.TRAINING if run.states.is_dir() else Kind.GENERATION)

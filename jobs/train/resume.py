"""Whether a training can go on from the newest state in its folder, and what has changed since."""

from __future__ import annotations

import contextlib
import dataclasses
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ecgan.checkpoint import list_states
from ecgan.errors import UserError
from ecgan.training import state
from jobs.run import record
from jobs.run.folder import RunDir
from jobs.train.pairs import find_pairs, hold_out
from jobs.train.plan import TrainPlan
from jobs.train.roles import BEGINNING, FIXED, STEERING, Role, of_role
from jobs.train.settings import TrainSettings
from jobs.train.standing import Identity, Standing


@dataclass(frozen=True)
class Resumption:
    """`step`: of the state at `path` that it goes on from. `damaged`: what is wrong with newer ones; `changed`: options
    that steer it otherwise from there, as "lr 2 -> 1"; `ignored`: options that only count at the beginning, and say
    something else now."""

    path: Path
    step: int
    damaged: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()


def identity(plan: TrainPlan) -> Identity:
    """What a state notes of the training that it belongs to."""
    return Identity(_values(plan.settings, FIXED, STEERING), len(plan.pairs), plan.names_digest)


def beginning(settings: TrainSettings) -> dict[str, Any]:
    """What a state notes of how its first weights were made."""
    return _values(settings, BEGINNING)


def compare_with_state(plan: TrainPlan, run: RunDir) -> Resumption | None:
    """None if there has been no state. Raises UserError if none can be used, or the newest that can is that of another
    training. Whether a state's tensors are what was saved is seen when it is loaded."""
    path, saved, damaged = _newest(run)
    if path is None or saved is None:
        insist_on_beginning(run, damaged)
        return None
    before = _settings_before(saved, run.plan)
    fixed = changes(before, plan.settings, FIXED)
    now = identity(plan)
    if saved.identity.names != now.names:
        fixed.append(_of_set(saved.identity, now.pairs))
    if fixed:
        raise UserError(
            f"{run.path} holds a training that differs in {'; '.join(fixed)}: it can't go on so. Restore that, "
            "choose another --run_dir, or begin anew with --no-resume"
        )
    given = {field.name for field in dataclasses.fields(plan.settings) if _is_given(plan.settings, field)}
    ignored = [
        f"{name} {getattr(plan.settings, name)} (only at the beginning)"
        for name in of_role(TrainSettings, BEGINNING)
        if name in given and getattr(plan.settings, name) != before[name]
    ]
    return Resumption(path, saved.step, damaged, tuple(changes(before, plan.settings, STEERING)), tuple(ignored))


def insist_on_beginning(run: RunDir, damaged: Sequence[str] = ()) -> None:
    """For who has found no whole state: raises UserError if there has been one, which beginning anew would lose."""
    state.insist_on_none(run.states, damaged)
    last = record.read(run).last_checkpoint
    if last is not None:
        raise UserError(
            f"{run.path} holds a training whose states are gone; the last was {last}",
            hint="<resume=False> starts from the beginning",
        )


def changes(before: Mapping[str, Any], now: TrainSettings, role: Role) -> list[str]:
    """Of the options of `role` those that differ, as "lr 0.0002 -> 0.0001"."""
    pairs = [(name, before[name], getattr(now, name)) for name in of_role(TrainSettings, role)]
    return [f"{name} {old} -> {new}" for name, old, new in pairs if old != new]


def differs(settings: TrainSettings, run: RunDir, relocated: Callable[[Any], Any] = lambda path: path) -> list[str]:
    """Why a training with these settings is not the one whose state is in the folder: what decides or steers it is not
    the same, or that has gone further already. Empty if it is, or there is none. Files are all that is read.

    `relocated`: where that is now which was at a path, for data that was moved with the run."""
    _, saved, _ = _newest(run)
    if saved is None:
        return []
    before = _settings_before(saved, run.plan)
    found = [each for role in (FIXED, STEERING, BEGINNING) for each in changes(before, settings, role)]
    for name in ("input_path", "exclude_list", "max_dataset_size"):
        if relocated(before[name]) != getattr(settings, name):
            found.append(f"{name} {before[name]} -> {getattr(settings, name)}")
    if settings.max_steps is not None and saved.step > settings.max_steps:
        found.append(f"{saved.step} steps are taken, --max_steps is {settings.max_steps}")
    if settings.max_minutes is not None and before["max_minutes"] != settings.max_minutes < saved.seconds / 60:
        found.append(f"{saved.seconds / 60:.0f} minutes are over, --max_minutes is {settings.max_minutes:g}")
    return found or _other_pairs(saved, settings, run)


def _other_pairs(saved: Standing, settings: TrainSettings, run: RunDir) -> list[str]:
    """How the training set is another one than that of the state, in the same folder; empty if it is not. What is wrong
    in it is for the training itself to tell."""
    try:
        pairs, _ = hold_out(find_pairs(settings, run.checked).pairs, settings.held_out)
    except UserError:
        return []
    now = TrainPlan(settings, pairs, "cpu", 1).names_digest
    return [_of_set(saved.identity, len(pairs))] if now != saved.identity.names else []


def _of_set(before: Identity, pairs: int) -> str:
    return f"the training set ({before.pairs} pairs -> {pairs})"


def put_aside(run: RunDir) -> Path | None:
    """Moves what a training wrote into a folder of its own below the run's; None if there was nothing."""
    # The states last: as long as they are there, a start after a kill puts aside what is left.
    written = [run.status, run.metrics, run.samples, run.samples_page, run.tensorboard, run.failures, run.states]
    found = [path for path in written if path.exists()]
    if all(path == run.status for path in found):  # a run that was submitted, and has not begun, says so there
        return None
    stamp = datetime.now(timezone.utc).strftime("%Y%m%d-%H%M%S")
    aside = run.path / f"before-{stamp}-{secrets.token_hex(2)}"
    aside.mkdir()
    for path in found:
        path.rename(aside / path.name)
    return aside


def _newest(run: RunDir) -> tuple[Path | None, Standing | None, tuple[str, ...]]:
    """The newest state that can be used as far as that is seen at once, how it stands, and what is wrong with newer."""
    damaged: list[str] = []
    for path in reversed(list_states(run.states)):
        try:
            return path, standing_of(state.look_at(path)), tuple(damaged)
        except UserError as error:
            damaged.append(str(error))
    return None, None, tuple(damaged)


def standing_of(found: state.SavedState) -> Standing:
    """How the training stood. Raises UserError if that is not what the state notes."""
    return Standing.of_state(found.path, found.progress)


def _settings_before(saved: Standing, plan: Path) -> dict[str, Any]:
    """All settings that the state was trained with. What it does not note, since an option was not there yet or was not
    thought to matter, the run's last plan had; else it had its default."""
    before = vars(TrainSettings())
    with contextlib.suppress(UserError):
        before = dataclasses.asdict(TrainPlan.load(plan).settings)  # with defaults, which are not among its variables
    return before | saved.identity.settings | saved.began


def _values(settings: TrainSettings, *roles: Role) -> dict[str, Any]:
    return {name: getattr(settings, name) for name in of_role(TrainSettings, *roles)}


def _is_given(settings: TrainSettings, field: dataclasses.Field[Any]) -> bool:
    return bool(getattr(settings, field.name) != field.default)

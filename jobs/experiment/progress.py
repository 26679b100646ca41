"""How far each chain is: what became of its stages, as it was noted, and what is left to do, with the reason.

A stage has been done if it was, with the settings that it has now, of what is there now, and what it made is there.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ecgan.checkpoint import list_states
from ecgan.checkpoint.native import DESCRIPTION
from ecgan.errors import UserError
from ecgan.files import read_json, sha256_of, write_json
from jobs.commands import last_error
from jobs.experiment.chains import STAGES, Chain, relocated
from jobs.experiment.settings import Options
from jobs.generate.manifest import MANIFEST
from jobs.run.clock import now
from jobs.run.find import is_run
from jobs.run.folder import RunDir
from jobs.run.state import State
from jobs.run.status import Status, read_status
from jobs.train import resume
from jobs.train.plan import TrainPlan

#: Options that change nothing of what a stage makes: where it runs, and on how much of that.
_WHERE = frozenset(
    (
        "cluster",
        "threads",
        "ranks",
        "workers",
        "loader_threads",
        "cache_dir",
        "dry_run",
        "resume",
        "shards",
        "overwrite",
    )
)
#: States of a stage after which those that need it can't be done.
_ENDS = [state for state in State if not (state.goes_on or state.is_success or state.is_stop or state.is_presumed)]


@dataclass(frozen=True, kw_only=True)
class Noted:
    """What became of a stage. `settings`: those that it was begun with, with the experiment in `home`; `of`: what it
    was made of, as `made` tells it.

    `outcome`: STARTING until it has ended; `made`: digest of what it made. `error`: why it failed; `log`: what the
    command said.
    """

    settings: Options
    outcome: State
    home: str | None = None
    of: str | None = None
    made: str | None = None
    error: str | None = None
    log: str | None = None
    began: str | None = None
    ended: str | None = None


@dataclass(frozen=True)
class StageState:
    """How a stage stands. `why`: what is to be done about it, or why it can't be; `status`: of its run, if it has begun
    one with the settings that it has now."""

    stage: str
    state: State
    why: str = ""
    status: Status | None = None


def read(chain: Chain) -> dict[str, Noted]:
    """By stage, with paths of where the experiment is now; empty before the first has begun. Raises UserError if the
    file is not one of ours."""
    try:
        found = read_json(chain.record, dict[str, Noted], "the record of stages")
    except FileNotFoundError:
        return {}
    except UserError as error:
        raise UserError(f"{error}; without the file this chain's stages are done again") from None
    return {stage: _moved(noted, chain.home) for stage, noted in found.items()}


def _moved(noted: Noted, home: Path) -> Noted:
    before = Path(noted.home or home)
    settings = {name: relocated(value, before, home) for name, value in noted.settings.items()}
    return dataclasses.replace(noted, settings=settings, log=relocated(noted.log, before, home))


def begin(chain: Chain, stage: str, log: Path) -> None:
    """Notes that a stage is begun with the settings that it has now, of what is there now; and in its log, why."""
    why = due(chain)[stage]
    with open(log, "a", encoding="utf-8", errors="backslashreplace") as file:  # there are names in it
        file.write(f"{_head(chain, stage)}{why}, {now()}\n")
    settings = chain.settings[stage]
    if chain.run(stage) is None:  # nothing but the page itself tells whether it has been made, so no old one may be
        chain.page.unlink(missing_ok=True)
    _write(
        chain,
        stage,
        Noted(
            settings=settings,
            outcome=State.STARTING,
            home=str(chain.home),
            of=_input(chain, stage),
            log=str(log),
            began=now(),
        ),
    )


def end(chain: Chain, stage: str, status: int, asked: bool = False, told: Status | None = None) -> Noted:
    """Notes how the command ended that was begun last, by its exit status and what its run says (`told`, where more is
    known of that than its files tell). `asked`: it was asked to stop."""
    known = read(chain)[stage]
    told, made = told or _status(chain, stage), _made(chain, stage)
    if told is not None and (told.updated or "") < (known.began or ""):
        told = None  # it never came to say anything
    done = told.state.is_success if told else chain.run(stage) is None
    if made is not None and done and status in (0, 1):  # 1: without what could not be made
        noted = dataclasses.replace(known, outcome=State.DONE, made=made, ended=now())
    else:
        error: str | None = (told and told.error) or _last_error(chain, stage, known.log) or f"status {status}"
        outcome = told.state if told and not told.state.goes_on and not done else State.FAILED
        if asked and not (told and outcome.is_settled):
            outcome, error = State.STOPPED, None
        noted = dataclasses.replace(known, outcome=outcome, error=error, ended=now())
    _write(chain, stage, noted)
    return noted


def is_over(found: Sequence[StageState]) -> bool:
    """Whether a chain whose stages stand so has come to an end, whatever that is."""
    return all(each.state.is_success for each in found) or any(
        not (each.state.goes_on or each.state.is_success) for each in found
    )


def due(chain: Chain, noted: Mapping[str, Noted] | None = None) -> dict[str, str]:
    """The stages that are to be done, in their order, each with the reason."""
    known = read(chain) if noted is None else noted
    found: dict[str, str] = {}
    for stage in chain.settings:
        if reason := _reason(chain, stage, known.get(stage)):
            found[stage] = reason
        elif any(each in found for each in _sources(chain, stage)):
            found[stage] = "what it is made of is made anew"
    return found


def begins_anew(chain: Chain) -> list[str]:
    """Why the training can't go on from the state that is there; empty if it can, or there is none."""
    run = chain.run("train")
    assert run is not None
    before = _home_of(run) or chain.home
    return resume.differs(chain.typed("train"), run, lambda path: relocated(path, before, chain.home))


def _home_of(training: RunDir) -> Path | None:
    """Where the experiment was when its training's plan was written, which a start that ends at once leaves."""
    try:
        return Path(TrainPlan.load(training.plan).settings.run_dir).parents[3]
    except (UserError, IndexError):
        return None


def states(chain: Chain, alive: bool = True) -> list[StageState]:
    """How every stage stands, from files alone. `alive`: whether somebody may be at work on the chain."""
    noted = read(chain)
    left = due(chain, noted)
    found: list[StageState] = []
    for stage in chain.settings:
        known, status = noted.get(stage), _status(chain, stage)
        if stage not in left:
            found.append(StageState(stage, State.DONE, status=status))
        elif known is None or known.outcome.is_success or changes(chain, stage, known.settings):
            blocked = any(each.state in _ENDS and each.stage in _sources(chain, stage) for each in found)
            waits = State.BLOCKED if blocked else State.PLANNED
            found.append(StageState(stage, State.CANCELLED if chain.cancelled.exists() else waits, left[stage]))
        elif known.outcome.ends_unsaid:
            found.append(_begun(stage, known, status, alive))
        else:
            found.append(StageState(stage, known.outcome, known.error or left[stage], status))
    return found


def _begun(stage: str, known: Noted, status: Status | None, alive: bool) -> StageState:
    """A stage of which nobody has noted an end."""
    said = status is not None and (status.updated or "") >= (known.began or "")
    if status and said and not (status.state.is_success and alive):  # else its end is about to be noted
        return StageState(stage, status.state, status.error or "", status)
    return StageState(stage, known.outcome if alive else State.DIED, status=status)


def changes(chain: Chain, stage: str, before: Options) -> list[str]:
    """What differs between a stage's settings, of what decides what it makes, as "lr 0.0002 -> 0.0001". An option that
    was not there yet had its default."""
    was = {field.name: field.default for field in dataclasses.fields(STAGES[stage])} | before
    return [
        f"{name} {was[name]} -> {value}"
        for name, value in chain.settings[stage].items()
        if name not in _WHERE and was[name] != value
    ]


def _reason(chain: Chain, stage: str, noted: Noted | None) -> str:
    """Why a stage is to be done, whatever the others do; empty if it is not."""
    if noted is None:
        return "not made yet"
    if changed := changes(chain, stage, noted.settings):
        return f"changed: {', '.join(changed)}"
    if not noted.outcome.is_success:
        words = "interrupted" if noted.outcome.ends_unsaid else noted.outcome
        return f"{words}: {noted.error}" if noted.error else str(words)
    if _made(chain, stage) != noted.made:
        return "what it made is gone, or not what it was"
    if _input(chain, stage) != noted.of:
        return "what it was made of is not what it was"
    return ""


def _sources(chain: Chain, stage: str) -> list[str]:
    """The stages that `stage` needs what they have made of."""
    needs = {"generate": ["train"], "score": ["generate"], "gallery": ["generate", "score"]}
    return [each for each in needs.get(stage, []) if each in chain.settings]


def _input(chain: Chain, stage: str) -> str | None:
    """Digest of what a stage is made of: of what those that it needs have made."""
    made = [_made(chain, each) or "" for each in _sources(chain, stage)]
    return "+".join(made) or None


def _made(chain: Chain, stage: str) -> str | None:
    """Digest of what a stage has made; None if it is not there."""
    file = _product(chain, stage)
    try:
        return sha256_of(file) if file else None
    except OSError:
        return None


def _product(chain: Chain, stage: str) -> Path | None:
    """The file that tells what a stage has made: it has the digests of all else, or is all there is."""
    run = chain.run(stage)
    if stage == "train":
        assert run is not None
        saved = list_states(run.states)
        return saved[-1] / DESCRIPTION if saved else None
    if stage == "generate":
        return chain.results / MANIFEST
    return run.score if run else chain.page


def _status(chain: Chain, stage: str) -> Status | None:
    run = chain.run(stage)
    return read_status(run.path) if run is not None and is_run(run.path) else None


def _write(chain: Chain, stage: str, noted: Noted) -> None:
    known: dict[str, Any] = {**read(chain), stage: noted}
    write_json(chain.record, {name: known[name] for name in STAGES if name in known}, default=dataclasses.asdict)


def _head(chain: Chain, stage: str) -> str:
    """What stands in a log before all that a command says."""
    return f"# {stage} of {chain.name}: "


def _last_error(chain: Chain, stage: str, log: str | None) -> str | None:
    """What a command said last of what went wrong."""
    try:
        text = Path(log).read_text(errors="replace") if log else ""
    except OSError:
        return None
    return last_error(text.rpartition(_head(chain, stage))[2])

"""The options of commands that can send their work to a cluster, and the decision whether they do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar, Protocol

from ecgan.errors import Unavailable, UserError
from jobs.options import option
from jobs.run.notify import NOBODY
from jobs.run.submission import JobKind
from launch.own_files import PROJECT, found
from slurm.scheduler import Cluster, Scheduler
from slurm.schedulers import SCHEDULERS

#: What --cluster may be: asking schedulers in turn, this machine, or one of them.
_AUTO, _LOCAL = "auto", "local"
#: The cluster's file where none is named.
DEFAULT = PROJECT / "configs/cluster/default.yaml"
_TITLES = " or ".join(scheduler.title for scheduler in SCHEDULERS.values())


@dataclass(frozen=True)
class ClusterOptions:
    """`typed`: the options that were on the command line, of this class or not; the others come from a file. `given`:
    those of the schedulers (`along`) that have a value."""

    choices: ClassVar[Mapping[str, Sequence[str]]] = {"cluster": (_AUTO, _LOCAL, *SCHEDULERS)}
    along: ClassVar[Sequence[type]] = [scheduler.options for scheduler in SCHEDULERS.values()]

    cluster_config: str | None = option(
        None, f"YAML file with what the {_TITLES} cluster is like, as in configs/cluster/", path=True
    )
    snapshot: bool = option(True, "run a copy of the code as it is now, whatever is edited later")
    typed: frozenset[str] = field(default=frozenset())
    given: Mapping[str, Any] = field(default_factory=dict)

    @property
    def of_cluster(self) -> list[str]:
        """Those that have a value, and are for a cluster alone."""
        return [*(["cluster_config"] if self.cluster_config is not None else []), *self.given]

    @property
    def of_file(self) -> Mapping[str, Any]:
        """What stands for the same in the cluster's file, and is no scheduler's option."""
        return {}


@dataclass(frozen=True)
class SubmitOptions(ClusterOptions):
    """Of commands that end once their work is submitted."""

    wait: bool = option(False, f"{_TITLES}: stay and show how far it is; else submit and end")
    notify: str | None = option(
        None,
        "a command that is run when it ends or fails, with state, folder and a line of text; overrides that of "
        f"--cluster_config; {NOBODY}: nobody is told",
    )

    @property
    def of_cluster(self) -> list[str]:
        return [*super().of_cluster, *(["wait"] if self.wait else [])]

    @property
    def of_file(self) -> Mapping[str, Any]:
        return {"notify": self.notify} if self.notify is not None else {}


@dataclass(frozen=True)
class RunOptions(SubmitOptions):
    """Of commands that make one run."""

    after: str | None = option(
        None, "folder of another run, or of the results that it makes: begin once that has ended well", path=True
    )


class Settings(Protocol):
    """What a command asks for that can send its work to a cluster: a dataclass. An option with the mark `here` is for
    work on this machine alone."""

    @property
    def cluster(self) -> str: ...
    @property
    def dry_run(self) -> bool: ...


def cluster_for(settings: Settings, options: ClusterOptions, kind: JobKind) -> tuple[Cluster | None, str]:
    """The cluster that jobs of this kind go to, None for this machine; and why.

    Raises UserError if a scheduler is asked for in vain, or something on the command line has no use for what was asked
    for. A file may hold options for all commands and places, and with "auto" nobody knows beforehand which: then `why`
    names those without effect.
    """
    taken = set().union(*(_taken(each, kind) for each in options.along))
    others = [name for name in options.given if name not in taken]
    _refuse(others, options, f"of no use for jobs of this kind ({kind})")
    scheduler, why = _decide(settings)
    cluster = None
    if scheduler:
        taken = _taken(scheduler.options, kind)
        given = {name: value for name, value in options.given.items() if name in taken}
        cluster = scheduler.cluster(_file(options), given | dict(options.of_file))
        foreign = [name for name in options.given if name not in taken and name not in others]
        asked: type = type(settings)
        here = [each.name for each in fields(asked) if "here" in each.metadata]
        idle = {
            f"of no use to {scheduler.title} for jobs of this kind ({kind})": foreign,
            f"for this machine alone, and --cluster {settings.cluster} works elsewhere": [
                name for name in here if getattr(settings, name) is not None
            ],
        }
    else:
        names = [name for name in options.of_cluster if name not in others]
        if not options.of_file and isinstance(options, SubmitOptions) and notify_here(options):
            names = [name for name in names if name != "cluster_config"]
        if kind == "warm" and not options.snapshot:
            names.append("no_snapshot")
        idle = {f"for {_TITLES} alone, and --cluster {settings.cluster} works on this machine": names}
    if settings.cluster != _AUTO:
        for fact, names in idle.items():
            _refuse(names, options, fact)
    unused = [*chain(*idle.values()), *others]
    return cluster, f"{why}; without effect here: {_flags(unused)}" if unused else why


def notify_here(options: SubmitOptions) -> str | None:
    """The command that is told how a run on this machine ends: what the options or the cluster's file have. Raises
    UserError if it is none."""
    faults = []
    for scheduler in SCHEDULERS.values():  # nobody says whose file it is
        try:
            return scheduler.cluster(_file(options), options.of_file).notify
        except UserError as error:
            faults.append(error)
    raise faults[0]


def _file(options: ClusterOptions) -> Path | None:
    """The cluster's file; without one the project's own, if there is any."""
    if options.cluster_config:
        return found(Path(options.cluster_config).expanduser(), "cluster_config")
    return DEFAULT if DEFAULT.is_file() else None


def _taken(options: type, kind: JobKind) -> set[str]:
    """The names of a scheduler's options that are for jobs of this kind."""
    return {each.name for each in fields(options) if kind in each.metadata.get("kinds", (kind,))}


def _decide(settings: Settings) -> tuple[Scheduler | None, str]:
    if settings.cluster == _LOCAL:
        return None, f"--cluster {_LOCAL}"
    said = []
    for scheduler in SCHEDULERS.values() if settings.cluster == _AUTO else [SCHEDULERS[settings.cluster]]:
        if settings.cluster == _AUTO and scheduler.has_started_us():
            return None, f"inside a {scheduler.title} job already"
        answers, found = scheduler.answers()
        if answers or (settings.dry_run and settings.cluster != _AUTO):
            return scheduler, found
        said.append(found)
    if settings.cluster != _AUTO:
        error = Unavailable if SCHEDULERS[settings.cluster].is_silence(said[0]) else UserError
        raise error(f"--cluster {settings.cluster}: {said[0]}; use --cluster {_LOCAL} to run on this machine")
    return None, "; ".join(said)


def _refuse(names: Sequence[str], options: ClusterOptions, fact: str) -> None:
    """Raises UserError if any of them stands on the command line itself."""
    if typed := [name for name in names if name in options.typed]:
        raise UserError(f"{_flags(typed)}: {fact}")


def _flags(names: Sequence[str]) -> str:
    return ", ".join(f"--{name}" for name in names)

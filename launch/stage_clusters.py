"""Where the stages of an experiment's chains go: which cluster, and what of it jobs of each kind get."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from ecgan.errors import UserError
from jobs.experiment.settings import Resources, in_words
from jobs.given import insist_on_path
from jobs.options import in_words as told
from jobs.run.notify import NOBODY
from jobs.run.submission import JobKind
from launch.cluster_options import DEFAULT, Settings, SubmitOptions, cluster_for, notify_here
from launch.own_files import found as found_file
from slurm.scheduler import Cluster

#: What jobs of each kind are for, by the section of a file's `resources`.
_KINDS: dict[str, JobKind] = {"train": "training", "generate": "shards", "score": "shards", "step": "step"}
_FILE = "cluster_config"
#: Of a stage's command: the experiment tells what there is to tell of it.
UNTOLD = ("--notify", NOBODY)


@dataclass(frozen=True)
class Clusters:
    """`of`: by section, the cluster as jobs of that kind have it; `words`: by stage, the same for its command line."""

    of: Mapping[str, Cluster]
    words: Mapping[str, tuple[str, ...]]


def find(settings: Settings, options: SubmitOptions, asked: Resources, asked_in: Path) -> tuple[Clusters | None, str]:
    """None for this machine; and why. `asked_in`: the file that has `asked`.

    What the command line says counts for jobs of every kind that it is of use to, and before what the file says of one.
    Raises UserError naming what is wrong.
    """
    cluster, why = cluster_for(settings, options, "training")
    if cluster is None:
        insist_on_known(asked, asked_in)
        idle = any(dataclasses.asdict(asked).values())
        return None, f"{why}; without effect here: resources" if idle else why
    here = dataclasses.replace(settings, cluster=cluster.scheduler.name)  # type: ignore[type-var]
    of, words = {}, {}
    insist_on_known(asked, asked_in)
    for section, kind in _KINDS.items():
        given = dict(getattr(asked, section))
        file = options.cluster_config or given.pop(_FILE, None)
        given.pop(_FILE, None)
        try:
            if file:  # a step may run from another copy of the project
                file = str(found_file(Path(file).expanduser(), _FILE).absolute())
            elif DEFAULT.is_file():
                file = str(DEFAULT)
            given |= {name: value for name, value in options.given.items() if _is_for(name, kind, options)}
            each = dataclasses.replace(options, cluster_config=file, given=given, typed=frozenset(given))
            found, _ = cluster_for(here, each, kind)
        except UserError as error:
            raise UserError(f"{asked_in}: resources.{section}: {told(error)}") from None
        assert found is not None
        of[section] = found
        named = {**({_FILE: file} if file else {}), **given}
        told_so = [word for name, value in named.items() for word in (f"--{name}", str(value))]
        words[section] = ("--cluster", cluster.scheduler.name, *told_so, *UNTOLD)
    return Clusters(of, words), why


def notify_of(options: SubmitOptions, asked: Resources, asked_in: Path) -> str | None:
    """The command that is told how an experiment on this machine ends. Raises UserError like `find`."""
    if options.cluster_config or _FILE not in asked.step:
        return notify_here(options)
    try:
        return notify_here(dataclasses.replace(options, cluster_config=asked.step[_FILE]))
    except UserError as error:
        raise UserError(f"{asked_in}: resources.step: {told(error)}") from None


def insist_on_known(asked: Resources, asked_in: Path) -> None:
    """Raises UserError for what is no option of any cluster, or not for jobs of that kind."""
    kinds = {field.name: field for each in SubmitOptions.along for field in dataclasses.fields(each)}
    hints = {name: hint for each in SubmitOptions.along for name, hint in typing.get_type_hints(each).items()}
    hints[_FILE] = str
    for section, kind in _KINDS.items():
        given: Mapping[str, Any] = getattr(asked, section)
        for name, value in given.items():
            if name not in hints:
                raise UserError(f"{asked_in}: resources.{section}: {name} is no option of a cluster")
            if name in kinds and kind not in kinds[name].metadata.get("kinds", (kind,)):
                raise UserError(f"{asked_in}: resources.{section}: {name} is of no use for jobs of this kind ({kind})")
            where = f"{asked_in}: resources.{section}.{name}"
            if value is None:  # a file can leave it blank
                raise UserError(f"{where}: has no value; leave it out for its default")
            try:
                msgspec.convert(value, hints[name])
                if name == _FILE:
                    insist_on_path(value, None)
            except msgspec.ValidationError as error:
                raise UserError(f"{where}: {in_words(error)}") from None
            except UserError as error:
                raise UserError(f"{where}: {told(error)}") from None


def _is_for(name: str, kind: JobKind, options: SubmitOptions) -> bool:
    fields = [field for each in options.along for field in dataclasses.fields(each) if field.name == name]
    return any(kind in field.metadata.get("kinds", (kind,)) for field in fields)

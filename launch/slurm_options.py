"""The options of commands that can send their work to Slurm, and the decision whether they do."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path

from ecgan.errors import UserError
from jobs.bounds import at_least, insist_on_bounds
from jobs.options import option
from slurm.controller import controller_answers
from slurm.site import Site, read_site


@dataclass(frozen=True)
class SlurmOptions:
    """`typed`: the options that were on the command line, of this class or not; the others come from a file."""

    cluster_config: str | None = option(
        None, "YAML file with what the Slurm cluster is like, as in configs/cluster/", path=True
    )
    partition: str | None = option(None, "Slurm: partition; this and what follows goes before --cluster_config")
    account: str | None = option(None, "Slurm: account")
    qos: str | None = option(None, "Slurm: quality of service")
    constraint: str | None = option(None, "Slurm: features that nodes must have")
    nodes: int | None = option(None, "Slurm: nodes of a training", at_least(1))
    gpus_per_node: int | None = option(
        None, "Slurm: GPUs on each node, one for each rank; a shard takes at most one", at_least(0)
    )
    tasks_per_node: int | None = option(
        None, "Slurm: ranks on each node, where that is not the number of GPUs", at_least(1)
    )
    cpus_per_task: int | None = option(None, "Slurm: cores of each rank or shard", at_least(1))
    memory: str | None = option(None, "Slurm: memory on each node, as 64G")
    time: str | int | None = option(
        None, "Slurm: time limit, as 12:00:00 or minutes; work that takes longer is requeued"
    )
    array_parallelism: int | None = option(None, "Slurm: shards that run at the same time at most", at_least(1))
    wait: bool = option(False, "Slurm: stay and show how far it is; else submit and end")
    snapshot: bool = option(True, "run a copy of the code as it is now, whatever is edited later")
    typed: frozenset[str] = field(default=frozenset())

    def __post_init__(self) -> None:
        insist_on_bounds(self)


#: What a cluster's file may say, too.
_OF_SITE = [each.name for each in fields(SlurmOptions) if each.name in {of_site.name for of_site in fields(Site)}]


def site_for(cluster: str, options: SlurmOptions, dry_run: bool) -> tuple[Site | None, str]:
    """The site that jobs go to, None for this machine; and why.

    Raises UserError if Slurm is asked for in vain, or not asked but told something on the command line. A file may
    hold options for both, and with "auto" nobody knows beforehand: then `why` names those without effect.
    """
    idle = [name for name in ("cluster_config", *_OF_SITE) if getattr(options, name) is not None]
    unused = f"; without effect here: {_flags(idle)}" if idle else ""
    if cluster == "local":
        if typed := [name for name in idle if name in options.typed]:
            raise UserError(f"{_flags(typed)}: for Slurm alone, and --cluster local works on this machine")
        return None, f"--cluster local{unused}"
    if cluster == "auto" and "SLURM_JOB_ID" in os.environ:
        return None, f"inside a Slurm job already{unused}"
    answers, found = controller_answers()
    if not answers and cluster == "auto":
        return None, f"{found}{unused}"
    if not answers and not dry_run:
        raise UserError(f"--cluster slurm: {found}; use --cluster local to run on this machine")
    path = Path(options.cluster_config).expanduser() if options.cluster_config else None
    return read_site(path, **{name: getattr(options, name) for name in _OF_SITE}), found


def _flags(names: Sequence[str]) -> str:
    return ", ".join(f"--{name}" for name in names)

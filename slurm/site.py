"""What a cluster is like: one file in configs/cluster/ for each, read strictly."""

from __future__ import annotations

import dataclasses
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from ecgan.errors import UserError
from jobs.given import insist_on_text
from jobs.yaml_files import read_options
from slurm.container import Container
from slurm.starters import LAUNCHERS, Mpirun


@dataclass(frozen=True)
class Site:
    """Where jobs go and what each gets. Every field may stand in a file of configs/cluster/; None: the cluster's own.

    partition, account, qos, constraint: as sbatch has them. merge_partition: for the merge, which needs no GPU.
    nodes, gpus_per_node: of a training; a shard takes one node and at most one GPU.
    tasks_per_node: ranks on each node; by default one for each GPU, without GPUs one.
    cpus_per_task: cores of each rank or shard. memory: of each node, as "64G". time: limit, as "1-12:00:00" or minutes.
    array_parallelism: shards that run at the same time at most.
    launcher: what starts ranks, srun (with PMIx) or Open MPI's mpirun in the allocation.
    srun_args: more words for srun. sbatch: more options, as {reservation: class}.
    container_image: that ranks run in, where srun has Pyxis; container_mounts: what of the nodes is seen in it.
    modules, setup, environment: of the job's shell, before Python: modules to load, lines, variables.
    requeue: whether jobs go on by themselves after preemption, time limit and node failure.
    warn_seconds: how long before the time limit a job is told to save.
    notify: a command that is run when a training, a generation, a scoring or an experiment ends or fails, there or on
    this machine, with state, run folder and a line of text; "none" or None: nobody is told.
    cache_dir: folder of compiled code, which may name the node's variables ("$TMPDIR/ecgan"); None: as for the command.
    """

    partition: str | None = None
    merge_partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    nodes: int = 1
    gpus_per_node: int = 1
    tasks_per_node: int | None = None
    cpus_per_task: int | None = None
    memory: str | None = None
    time: str | int = "24:00:00"
    array_parallelism: int = 8
    launcher: str = "srun"
    srun_args: list[str] = field(default_factory=list)
    sbatch: dict[str, Any] = field(default_factory=dict)
    container_image: str | None = None
    container_mounts: list[str] = field(default_factory=list)
    modules: list[str] = field(default_factory=list)
    setup: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    requeue: bool = True
    warn_seconds: int = 120
    notify: str | None = None
    cache_dir: str | None = None

    def __post_init__(self) -> None:
        at_least = {"nodes": 1, "gpus_per_node": 0, "tasks_per_node": 1, "cpus_per_task": 1, "array_parallelism": 1}
        for name, least in (at_least | {"warn_seconds": 1}).items():
            value = getattr(self, name)
            if value is not None and value < least:
                raise UserError(f"{name} of the cluster is {value}; it must be at least {least}")
        for name in (each.name for each in dataclasses.fields(self)):
            insist_on_text(f"{name} of the cluster", getattr(self, name))
        if self.launcher not in LAUNCHERS:
            raise UserError(f"launcher of the cluster is {self.launcher!r}; there are {', '.join(LAUNCHERS)}")
        if self.container is None and self.container_mounts:
            raise UserError("container_mounts of the cluster is of no use without container_image")
        if self.container is not None and self.launcher == Mpirun.name:
            raise UserError("container_image of the cluster needs launcher srun: mpirun starts ranks outside of it")
        try:
            shlex.split(self.notify or "")
        except ValueError as error:
            raise UserError(f"notify of the cluster is {self.notify!r}: {error}") from None
        seconds = seconds_of(str(self.time))
        if seconds is None:
            raise UserError(f"time of the cluster is {self.time!r}; it must be minutes, HH:MM:SS or D-HH:MM:SS")
        if seconds <= self.warn_seconds:
            raise UserError(
                f"time of the cluster ({self.time}) is not longer than warn_seconds ({self.warn_seconds}): jobs would "
                "be told to end as soon as they begin"
            )
        if self.gpus_per_node and self.tasks_per_node and self.tasks_per_node > self.gpus_per_node:
            raise UserError(
                f"tasks_per_node of the cluster is {self.tasks_per_node}, more than gpus_per_node "
                f"({self.gpus_per_node}): every rank needs a GPU of its own"
            )

    @property
    def container(self) -> Container | None:
        """Raises UserError if it can't be told to srun."""
        return Container(self.container_image, self.container_mounts) if self.container_image is not None else None

    @property
    def ranks_per_node(self) -> int:
        return self.tasks_per_node or self.gpus_per_node or 1

    @property
    def ranks(self) -> int:
        """Processes of a training."""
        return self.nodes * self.ranks_per_node


def seconds_of(time: str) -> float | None:
    """A time limit in seconds, from any of the forms that sbatch takes; None if it is none of them."""
    if time.upper() in ("UNLIMITED", "INFINITE"):
        return float("inf")
    match = re.fullmatch(r"(?:(\d{1,9})-)?(\d{1,9})(?::(\d{1,9}))?(?::(\d{1,9}))?", time.strip(), re.ASCII)
    if not match:
        return None
    days, first, second, third = (int(group or 0) for group in match.groups())
    if match[1] is not None:  # days-hours:minutes:seconds
        return ((days * 24 + first) * 60 + second) * 60 + third
    if match[4] is not None:  # hours:minutes:seconds
        return (first * 60 + second) * 60 + third
    return first * 60 + second


def read_site(path: Path | None, **overrides: Any) -> Site:
    """The site in the YAML file `path` (None: all defaults), with those of `overrides` that are not None.

    Raises UserError that names the file and the key or value that is wrong.
    """
    if unknown := sorted(overrides.keys() - {each.name for each in dataclasses.fields(Site)}):
        raise _wrong(None, f"there is no {', '.join(unknown)}")
    values = _values(path) if path is not None else {}
    values |= {name: value for name, value in overrides.items() if value is not None}
    try:
        return msgspec.convert(values, Site, strict=False)  # "2" is 2
    except msgspec.ValidationError as error:
        raise _wrong(path, str(error)) from None
    except UserError as error:
        raise _wrong(path, error.fact) from None


def _values(path: Path) -> dict[str, Any]:
    values = read_options(path, "cluster_config", [field.name for field in dataclasses.fields(Site)])
    if isinstance(values.get("environment"), dict):  # a number is as good as its digits
        values["environment"] = {name: str(value) for name, value in values["environment"].items()}
    return values


def _wrong(path: Path | None, fact: str) -> UserError:
    if path is None:
        return UserError(f"the cluster's options: {fact}")
    return UserError(fact, field="cluster_config", value=path)

"""What sbatch is told: the parameters of a job from a site, as submitit takes them. Pure functions."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from slurm.site import Site
from slurm.starters import Allocation


@dataclass(frozen=True)
class Shape:
    """A kind of job: its name, how much of the site it takes, and the ids of what it waits for, however that ends."""

    name: str
    nodes: int = 1
    tasks_per_node: int = 1
    gpus_per_node: int = 0
    partition: str | None = None
    after: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


def training(site: Site, name: str, environment: Mapping[str, str], after: Sequence[str] = ()) -> Shape:
    return Shape(name, site.nodes, site.ranks_per_node, site.gpus_per_node, after=after, environment=environment)


def shard(site: Site, name: str, environment: Mapping[str, str], after: Sequence[str] = ()) -> Shape:
    return Shape(name, gpus_per_node=min(1, site.gpus_per_node), after=after, environment=environment)


def merge(site: Site, name: str, environment: Mapping[str, str], after: Sequence[str] = ()) -> Shape:
    return Shape(name, partition=site.merge_partition, after=after, environment=environment)


def parameters(site: Site, shape: Shape) -> dict[str, Any]:
    """For submitit's `SlurmExecutor.update_parameters`."""
    named = {
        "job_name": shape.name,
        "partition": shape.partition or site.partition,
        "account": site.account,
        "qos": site.qos,
        "constraint": site.constraint,
        "nodes": shape.nodes,
        "ntasks_per_node": shape.tasks_per_node,
        "gpus_per_node": shape.gpus_per_node or None,
        "cpus_per_task": site.cpus_per_task,
        "dependency": ":".join(["afterany", *shape.after]) if shape.after else None,
    }
    more: dict[str, Any] = {"time": site.time, "requeue" if site.requeue else "no-requeue": True}
    if site.memory is not None:
        more["mem"] = site.memory
    return {key: value for key, value in named.items() if value is not None} | {
        "additional_parameters": more | site.sbatch,
        "array_parallelism": site.array_parallelism,
        "setup": setup_lines(site, shape.environment),
        "signal_delay_s": site.warn_seconds,
        "stderr_to_stdout": True,
        # The batch step supervises; it starts what computes through srun or mpirun itself.
        "use_srun": False,
        "wckey": None,
    }


def setup_lines(site: Site, environment: Mapping[str, str]) -> list[str]:
    """What the job's shell does before it starts Python."""
    lines = [f"module load {shlex.quote(module)}" for module in site.modules]
    lines += site.setup
    for name, value in (dict(environment) | site.environment).items():
        lines.append(f"export {name}={shlex.quote(value)}")
    if site.cache_dir is not None:
        lines.append(f'export ECGAN_CACHE="{_escaped(site.cache_dir)}"')
    # The shell must outlive the signals that Python below it acts on.
    return [*lines, "trap : TERM USR2"]


def _escaped(text: str) -> str:
    """For double quotes: variables are still put in."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("`", "\\`")


def allocation(site: Site, shape: Shape) -> Allocation:
    """What a job of this shape has got when it runs."""
    return Allocation(shape.nodes, shape.tasks_per_node, site.cpus_per_task, site.srun_args, site.container)

"""The options that Slurm adds to the commands that can send their work to it: fields of `slurm.site.Site`, too."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.bounds import at_least, insist_on_bounds
from jobs.options import option


@dataclass(frozen=True)
class SlurmOptions:
    """`kinds`: what an option is for alone, as `jobs.run.submission.JobKind` names it."""

    partition: str | None = option(None, "Slurm: partition; what is given here overrides --cluster_config")
    account: str | None = option(None, "Slurm: account")
    qos: str | None = option(None, "Slurm: quality of service")
    constraint: str | None = option(None, "Slurm: features that nodes must have")
    nodes: int | None = option(None, "Slurm: nodes of a training", at_least(1), kinds=("training",))
    gpus_per_node: int | None = option(
        None, "Slurm: GPUs on each node, one for each rank; a shard takes at most one", at_least(0)
    )
    tasks_per_node: int | None = option(
        None,
        "Slurm: ranks of a training on each node, where that is not the number of GPUs",
        at_least(1),
        kinds=("training",),
    )
    cpus_per_task: int | None = option(None, "Slurm: cores of each rank or shard", at_least(1))
    memory: str | None = option(None, "Slurm: memory on each node, as 64G")
    time: str | int | None = option(
        None, "Slurm: time limit, as 12:00:00 or minutes; work that takes longer is requeued"
    )
    array_parallelism: int | None = option(
        None, "Slurm: shards that run at the same time at most", at_least(1), kinds=("shards",)
    )

    def __post_init__(self) -> None:
        insist_on_bounds(self)

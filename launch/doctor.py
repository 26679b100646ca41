"""Says what this machine has, what it lacks and how to get it, and what can run here.

python launch/doctor.py --warm
"""

from __future__ import annotations

import runpy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

try:
    from launch import early  # isort: skip

    early.begin(__name__)
    from ecgan.checkpoint import open_checkpoint
    from ecgan.errors import UserError
    from ecgan.runtime.devices import DeviceChoice, choose_device
    from jobs.options import option
    from launch.checks import compiled, cuda, mpi, requirements, room, schedulers
    from launch.checks.rows import Row
    from launch.checks.verdicts import verdicts
    from launch.cluster_options import ClusterOptions, cluster_for
    from launch.command import DONE, SOME_FAILED, parse_both, run, use_cache
    from launch.warming import warm_here, warm_on_cluster
except ModuleNotFoundError as missing:
    runpy.run_path(str(Path(__file__).with_name("missing.py")))["exit_if_not_installed"](missing)
    raise


@dataclass(frozen=True)
class DoctorSettings:
    device: DeviceChoice = option("auto", "what is to be computed on")
    cache_dir: str | None = option(None, "folder of compiled code; by default ECGAN_CACHE or ~/.cache/ecgan", path=True)
    warm: bool = option(False, "compile Jittor now instead of on the first run (a minute or two on 2 cores, once)")
    checkpoint: str | None = option(
        None, "with --warm: folder or .pkl whose model's operators are compiled, too", path=True
    )
    cluster: str = option("local", "with --warm: compile here, or on a node of the cluster")
    dry_run: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.checkpoint is not None and not self.warm:
            raise UserError("--checkpoint says what to compile: give --warm with it")
        if self.cluster != "local" and not self.warm:
            raise UserError(f"--cluster {self.cluster} says where to compile: give --warm with it")


def main() -> int:
    about = "Says what this machine has, what it lacks, and what can run here."
    settings, options = parse_both(DoctorSettings, ClusterOptions, about)
    use_cache(settings.cache_dir)
    model = open_checkpoint(Path(settings.checkpoint).expanduser()).model if settings.checkpoint else None
    cluster, _ = cluster_for(settings, options, "warm")
    if cluster is not None:
        return warm_on_cluster(settings.device, model, cluster, options)
    device = choose_device("auto") if settings.device == "auto" else settings.device

    rows = requirements.rows() + cuda.rows(settings.device)
    if settings.warm and all(row.state != "missing" for row in rows):
        row, used = warm_here(settings.device, model)
        rows.append(row)
        device = used or device
    core = compiled.core(device)
    if device == "cuda" and core.state == "ok":
        rows.append(cuda.convolution())
    rows += [core, *mpi.rows(), *schedulers.rows(), *room.rows()]
    print_table(rows)

    said = verdicts(rows, f"on {device}" if core.state == "ok" else f"on {device} once Jittor is compiled")
    print(*said, sep="\n")
    generating, training, _ = said
    return DONE if generating.can_run and training.can_run else SOME_FAILED


def print_table(rows: Sequence[Row]) -> None:
    width = max(len(row.name) for row in rows)
    for row in rows:
        print(f"{row.state:<7}  {row.name:<{width}}  {row.found}")
        if row.how:
            print(f"{'':<7}  {'':<{width}}  -> {row.how}")
    print()


if __name__ == "__main__":
    run(main)

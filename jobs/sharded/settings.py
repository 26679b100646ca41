"""What the user asks of any sharded work: where it runs, and on how much of this machine."""

from __future__ import annotations

from dataclasses import dataclass

from ecgan.runtime.devices import DeviceChoice
from jobs.bounds import at_least, insist_on_bounds
from jobs.options import option


@dataclass(frozen=True)
class ShardedSettings:
    """A kind of work adds what it is to be. Raises UserError if a number is out of its bounds."""

    workers: int | None = option(
        None, "processes on this machine; by default what GPUs, cores and memory allow", at_least(1), here=True
    )
    threads: int | None = option(
        None, "CPU threads of each of them; by default OMP_NUM_THREADS, else its share of the cores", at_least(1)
    )
    cluster: str = option("auto", "where to run")
    device: DeviceChoice = option("auto", "what to compute on")
    cache_dir: str | None = option(None, "folder of compiled code; by default ECGAN_CACHE or ~/.cache/ecgan", path=True)
    dry_run: bool = option(False, "print the plan and do nothing")

    def __post_init__(self) -> None:
        insist_on_bounds(self)

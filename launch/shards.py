"""Work in shards, whatever they do: on Slurm an array and a job after it, here a pool of processes with one bar."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ecgan import runtime
from ecgan.errors import UserError
from ecgan.progress import progress_bar
from jobs.run import record
from jobs.run.attempts import MERGE, shard_unit
from jobs.run.folder import RunDir
from jobs.run.progress import read_shards
from jobs.run.state import State
from jobs.run.submission import Submission
from launch import on_slurm
from launch.command import Terminated
from launch.slurm_options import SlurmOptions
from slurm import resources, script
from slurm.local import LocalPool, Outcome
from slurm.script import Shape
from slurm.site import Site
from slurm.supervisor import Supervised

Job = Callable[[], Any]


def note_end(run: RunDir, error: BaseException) -> None:
    """Notes that `error` has ended the run, unless it has come to an end that it has told itself."""
    if not record.read(run).state.goes_on:
        return
    if isinstance(error, (KeyboardInterrupt, Terminated)):
        record.update(run, State.STOPPED)
    else:
        words = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
        record.update(run, State.FAILED, error=words)


def shapes(run: RunDir, site: Site, options: SlurmOptions, name: str, array: str | None) -> tuple[Shape, Shape]:
    """Of the shards' array, and of what waits for the job `array`."""
    environment = on_slurm.environment_of(run, options)
    return script.shard(site, name, environment), script.merge(site, f"{name}-merge", environment, array)


def submit(
    run: RunDir, site: Site, options: SlurmOptions, name: str, shards: Sequence[Job], merging: Job
) -> Submission:
    """An array with a job for each shard, and `merging` when all have ended, however they did."""
    with on_slurm.Sending(run, site) as sending:
        array = None
        if shards:
            shape, _ = shapes(run, site, options, name, None)
            jobs = [Supervised(run.path, shard_unit(i), shard, site, shape) for i, shard in enumerate(shards)]
            array = sending.send("shards", shape, jobs)
        _, shape = shapes(run, site, options, name, array)
        sending.send("merge", shape, [Supervised(run.path, MERGE, merging, site, shape)])
    return sending.submission


def workers(asked: int | None, device: str, memory: int, shards: int) -> list[dict[str, str]]:
    """The environment of each worker of the pool: its GPU or its share of the cores. `memory`: bytes that one takes."""
    gpus = runtime.gpu_count() if device == "cuda" else 0
    count = asked or resources.default_workers(gpus, memory)
    return resources.environments(max(1, min(count, shards)), gpus)


def describe(workers: Sequence[dict[str, str]], device: str) -> str:
    each = f"{workers[0]['OMP_NUM_THREADS']} thread(s)" if device == "cpu" else "one GPU"
    return f"{len(workers)} on this machine ({device}), {each} each"


@dataclass(frozen=True)
class Here:
    """Shards on this machine. `total` pictures, `before` of which were done already; `kind` as the status has it;
    `title`: what is being done, for the bar."""

    run: RunDir
    kind: str
    title: str
    total: int
    before: int

    def make(self, shards: Sequence[Job], workers: Sequence[dict[str, str]], lock: int) -> list[Outcome]:
        """Runs every shard, with one bar over all; raises what interrupts it, workers ended."""
        record.begin(self.run, self.kind, State.STARTING, total=self.total, done=self.before, before=self.before)
        pool = LocalPool(workers, self.run.logs, keep_open=[lock])
        with progress_bar(self.total, self.title, "picture", initial=self.before) as bar:

            def tick() -> None:
                known = read_shards(self.run.shards)
                if all(shard.state is State.STARTING for shard in known):
                    bar.unpause()  # loading and compiling are not the work: rate and ETA leave them out
                    return
                done, failed = self.before + sum(shard.done for shard in known), sum(shard.failed for shard in known)
                if done + failed > bar.n:
                    bar.update(done + failed - bar.n)
                    record.update(self.run, State.RUNNING, done=done, failed=failed)

            try:
                return pool.run(shards, tick)
            finally:
                tick()  # workers that were told to stop have finished what they had in hand

    def is_hopeless(self, outcomes: Sequence[Outcome]) -> bool:
        """Says what went wrong; whether nothing else could have been done."""
        for message in dict.fromkeys(outcome.message for outcome in outcomes if outcome.message):
            print(f"error: {message} (log in {self.run.logs})", file=sys.stderr)
        return any(outcome.state == "hopeless" for outcome in outcomes)

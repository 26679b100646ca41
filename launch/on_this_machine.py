"""Work in shards on this machine: a pool of processes with one bar over all of them, and what ends it."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping, Sequence

from ecgan.errors import UserError
from ecgan.progress import progress_bar
from ecgan.runtime.devices import gpu_count
from jobs.run import record
from jobs.run.progress import read_shards
from jobs.run.state import State
from jobs.sharded.work import Work
from launch.command import DONE, SOME_FAILED
from slurm.processes import resources
from slurm.processes.pool import JobOutcome, LocalPool


def workers(work: Work, asked: int | None) -> list[dict[str, str]]:
    """The environment of each worker of the pool: its GPU or its share of the cores."""
    gpus = gpu_count() if work.device == "cuda" else 0
    count = asked or resources.default_workers(gpus, work.memory)
    return resources.environments(max(1, min(count, work.shards)), gpus)


def insist_on_memory(work: Work, asked: int | None) -> None:
    """Raises UserError if the workers of a pool on the CPU may take more memory than there is."""
    if work.device != "cpu":
        return
    free, count = resources.available_memory(), len(workers(work, asked))
    if count * work.memory > free:
        fact = f"a process may take {work.memory >> 20} MiB of memory, {free >> 20} MiB are free"
        if fit := free // work.memory:
            raise UserError(fact, field="workers", value=asked, hint=f"<workers={fit}> fit")
        raise UserError(fact)


def describe(work: Work, asked: int | None) -> str:
    found = workers(work, asked)
    each = f"{found[0][resources.THREADS]} thread(s)" if work.device == "cpu" else "one GPU"
    return f"{len(found)} on this machine ({work.device}), {each} each"


def carry_out(work: Work, asked: int | None, environment: Mapping[str, str], held: int) -> int:
    """Makes all shards and ends the work; returns the exit status. `environment` is every worker's, and `held` the
    lock that they keep as long as they live. Raises what interrupts it, with all of them ended."""
    finish = work.finish()
    record.begin(work.run, work.kind, State.STARTING, total=work.total, done=work.done, before=work.done)
    try:
        if work.shards:
            work.compile()  # here, and not in the workers, so that the user sees what takes minutes
        outcomes = _make(work, [{**environment, **each} for each in workers(work, asked)], held)
        for message in dict.fromkeys(outcome.message for outcome in outcomes if outcome.message):
            print(f"error: {message} (log in {work.run.logs})", file=sys.stderr)
        if any(outcome.state == "hopeless" for outcome in outcomes):
            finish.note_failures()
            record.update(work.run, State.FAILED)
            return SOME_FAILED
        return SOME_FAILED if finish() else DONE
    except BaseException:
        with contextlib.suppress(OSError):
            finish.note_failures()
        print(f"{work.share.kept} in {work.run.path}", file=sys.stderr)
        raise


def _make(work: Work, workers: Sequence[Mapping[str, str]], held: int) -> list[JobOutcome]:
    """Runs every shard, with one bar over all; raises what interrupts it, workers ended."""
    pool = LocalPool(workers, work.run.logs, keep_open=[held])
    with progress_bar(work.total, work.kind.doing, work.kind.unit, initial=work.done) as bar:

        def tick() -> None:
            known = read_shards(work.run.shards)
            if all(shard.state.prepares for shard in known):
                bar.unpause()  # loading and compiling are not the work: rate and ETA leave them out
                return
            done, failed = work.done + sum(shard.done for shard in known), sum(shard.failed for shard in known)
            if done + failed > bar.n:
                bar.update(done + failed - bar.n)
                record.update(work.run, State.RUNNING, done=done, failed=failed)

        try:
            return pool.run(work.jobs(), tick)
        finally:
            tick()  # workers that were told to stop have finished what they had in hand

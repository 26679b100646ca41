"""Work in shards from the command line to its end, whatever the work is: `jobs.sharded` says what it has to be.

Here it is a pool of processes with one bar; on Slurm an array, and a job behind it that ends the work.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from ecgan.runtime.devices import Device, DeviceChoice
from jobs.run import lock, record
from jobs.run.attempts import MERGE, shard_unit
from jobs.run.folder import RunDir
from jobs.run.state import State
from jobs.run.submission import Submission
from jobs.sharded.finish import FinishJob
from jobs.sharded.work import Remark, Request, Work
from launch import on_slurm, on_this_machine, snapshot
from launch.command import DONE, SOME_FAILED, parse_both, use_cache, use_threads
from launch.slurm_options import SlurmOptions, site_for
from slurm import script
from slurm.script import Shape
from slurm.site import Site
from slurm.supervisor import Supervised


class ShardedSettings(Protocol):
    """What the flow asks of the options of any sharded work: a dataclass that also has what the work is to be."""

    @property
    def cluster(self) -> str: ...
    @property
    def device(self) -> DeviceChoice: ...
    @property
    def workers(self) -> int | None: ...
    @property
    def threads(self) -> int | None: ...
    @property
    def cache_dir(self) -> str | None: ...
    @property
    def dry_run(self) -> bool: ...


SettingsT = TypeVar("SettingsT", bound=ShardedSettings)
RequestT = TypeVar("RequestT", bound=Request)


def run(
    options_of: type[SettingsT],
    check: Callable[[SettingsT, Device | None], RequestT],
    examine: Callable[[RequestT], Work],
    about: str,
    arguments: Sequence[str] | None = None,
) -> int:
    """The whole command; returns its exit status.

    `check` holds settings against the world, `examine` the outcome against what is made already; neither writes
    anything. `check`'s second argument: what is to compute, where that is not on this machine.
    """
    settings, options = parse_both(options_of, SlurmOptions, about, arguments)
    use_cache(settings.cache_dir)
    use_threads(settings.threads)
    site, why = site_for(settings.cluster, options, settings.dry_run)
    request = check(settings, on_slurm.device(settings.device, site) if site else None)
    if settings.dry_run:
        work = examine(request)
        show(work, where(work, settings, site, why))
        if site:
            for line in work.describe_shards():
                print(line)
            counted = zip(shapes(work, site, options, "ID"), (work.shards, 1), strict=True)
            on_slurm.dry_run(work.run, settings, site, [(shape, count) for shape, count in counted if count])
        return DONE

    with taken(request.run, request.run.shards, *request.folders) as held:
        request.mend()
        work = examine(request)
        show(work, where(work, settings, site, why))
        if complete := work.complete():
            words, lacking = complete
            left_out = work.total - work.done
            record.begin(work.run, work.kind, State.DONE, total=work.total, done=work.done, failed=left_out)
            print(words)
            return SOME_FAILED if lacking else DONE
        work.lay_out()
        if not site:
            snapshot.take(work.run, options)
            return on_this_machine.carry_out(work, settings.workers, snapshot.environment(work.run, options), held)
        submission = send(work, site, options)
    return follow(work, submission, options)


@contextlib.contextmanager
def taken(run: RunDir, *folders: Path) -> Iterator[int]:
    """The run's folder, with `folders` in it, is this command's: gives the descriptor of its lock.

    Raises UserError if it can't be made, or something else works on it: a command or jobs in a queue.
    """
    run.create(*folders)
    with lock.held(run) as descriptor:
        on_slurm.forget_submission(run)
        yield descriptor


def where(work: Work, settings: ShardedSettings, site: Site | None, why: str) -> list[Remark]:
    """Where the shards will run. Raises UserError if that is here and there is no memory for them."""
    if site:
        each = f"{work.device}{on_slurm.threads(site)}"
        return [("where", f"Slurm: an array, {site.array_parallelism} at a time ({each}); {why}")]
    if not work.shards:
        return []
    on_this_machine.insist_on_memory(work, settings.workers)
    return [("workers", f"{on_this_machine.describe(work, settings.workers)}; {why}")]


def show(work: Work, where: Sequence[Remark]) -> None:
    for name, text in [*work.describe(where), ("run", str(work.run.path))]:
        print(f"{name:<{work.column}}{text}")
    sys.stdout.flush()
    for warning in work.warnings():
        print(f"warning: {warning}", file=sys.stderr)


def shapes(work: Work, site: Site, options: SlurmOptions, array: str | None) -> tuple[Shape, Shape]:
    """Of the shards' array, and of what waits for the job `array`."""
    name = f"ecgan-{work.run.path.name.removesuffix('.run')}"
    environment = snapshot.environment(work.run, options)
    return script.shard(site, name, environment), script.merge(site, f"{name}-merge", environment, array)


def send(work: Work, site: Site, options: SlurmOptions) -> Submission:
    """An array with a job for each shard, and one that ends the work when all of these have ended, however they did."""
    run = work.run
    on_slurm.equip(run, site, options)
    record.begin(run, work.kind, State.SUBMITTED, total=work.total, done=work.done, before=work.done)
    with on_slurm.Sending(run, site) as sending:
        array = None
        if work.shards:
            shape, _ = shapes(work, site, options, None)
            jobs = [Supervised(run.path, shard_unit(job.number), job, site, shape) for job in work.jobs()]
            array = sending.send("shards", shape, jobs)
        _, shape = shapes(work, site, options, array)
        sending.send("merge", shape, [Supervised(run.path, MERGE, FinishJob(work.finish()), site, shape)])
    return sending.submission


def follow(work: Work, submission: Submission, options: SlurmOptions) -> int:
    """Says what was submitted. With --wait it shows how far that is until it is over, and what it came to."""
    on_slurm.tell(work.run, submission)
    if not options.wait:
        return DONE
    status = on_slurm.wait(work.run, submission, work.doing)
    if status != DONE:
        return status
    lines, lacking = work.finish().outcome()
    for line in lines:
        print(line)
    return SOME_FAILED if lacking else DONE

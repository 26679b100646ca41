"""Work in shards from the command line to its end, whatever the work is: `jobs.sharded` says what it has to be.

Here it is a pool of processes with one bar; on a cluster an array, and a job behind it that ends the work.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

from ecgan.runtime.devices import Device
from jobs.run import record
from jobs.run.attempts import MERGE, shard_unit
from jobs.run.folder import RunDir
from jobs.run.kind import Kind
from jobs.run.state import State
from jobs.run.submission import Submission
from jobs.sharded.finish import FinishJob
from jobs.sharded.settings import ShardedSettings
from jobs.sharded.work import Remark, Request, Work
from launch import after, on_cluster, on_this_machine, snapshot, taking
from launch.at_end import AtEnd
from launch.cluster_options import RunOptions, SubmitOptions, cluster_for, notify_here
from launch.command import DONE, SOME_FAILED, parse_both, use_cache, use_threads
from slurm.scheduler import Batch, Cluster

SettingsT = TypeVar("SettingsT", bound=ShardedSettings)
RequestT = TypeVar("RequestT", bound=Request)


def run(
    kind: Kind,
    options_of: type[SettingsT],
    check: Callable[[SettingsT, Device | None], RequestT],
    check_ahead: Callable[[SettingsT, Path], RunDir],
    examine: Callable[[RequestT], Work],
    about: str,
    arguments: Sequence[str] | None = None,
) -> int:
    """The whole command; returns its exit status.

    `check` holds settings against the world, `examine` the outcome against what is made already; neither writes
    anything. `check`'s second argument: what is to compute, where that is not on this machine. `check_ahead` is for
    what begins after another run, whose folder is its second argument: what that will make is not there yet.
    """
    settings, options = parse_both(options_of, RunOptions, about, arguments)
    use_cache(settings.cache_dir)
    use_threads(settings.threads)
    cluster, why = cluster_for(settings, options, "shards")
    notify = None if cluster else notify_here(options)
    device = on_cluster.device(settings.device, cluster) if cluster else None
    if options.after is not None:
        ahead, outcome = partial(check_ahead, settings), lambda: tell_outcome(examine(check(settings, device)))
        status = after.hold_back(after.Command(kind, settings, options, cluster, why, ahead, outcome))
        if status is not None:
            return status
    request = check(settings, device)
    if cluster:
        cluster.insist_on_usable(request.run.path)
    if settings.dry_run:
        work = examine(request)
        show(work, where(work, settings, cluster, why))
        if cluster:
            for line in work.describe_shards():
                print(line)
            on_cluster.dry_run(work.run, settings, cluster, batches(work, options))
        return DONE

    with AtEnd(request.run) as end, taking.taken(request.run, request.run.shards, *request.folders) as held:
        request.mend()
        work = examine(request)
        show(work, where(work, settings, cluster, why))
        with contextlib.suppress(OSError):  # it only saves time, and that a disk is full will be said
            request.remember()
        if complete := work.complete():
            words, lacking = complete
            left_out = work.total - work.done
            record.begin(work.run, work.kind, State.DONE, total=work.total, done=work.done, failed=left_out)
            print(words)
            return SOME_FAILED if lacking else DONE
        work.lay_out()
        if not cluster:
            snapshot.take(work.run, options)
            environment = snapshot.environment(work.run, options)
            carry_out = partial(on_this_machine.carry_out, work, settings.workers, environment, held)
            return end.of(notify, carry_out)
        known = {"total": work.total, "done": work.done, "before": work.done}
        submission = on_cluster.submit(work.run, cluster, options, batches(work, options), work.kind, **known)
    return follow(work, submission, options)


def where(work: Work, settings: ShardedSettings, cluster: Cluster | None, why: str) -> list[Remark]:
    """Where the shards will run. Raises UserError if that is here and there is no memory for them."""
    if cluster:
        each = f"{work.device}{on_cluster.threads(cluster)}"
        return [("where", f"{cluster.scheduler.title}: an array, {cluster.at_once} at a time ({each}); {why}")]
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


def batches(work: Work, options: SubmitOptions) -> list[Batch]:
    """A job for each shard, if there are any, and one that ends the work when all of these have ended."""
    name = f"ecgan-{work.run.path.name.removesuffix(Kind.GENERATION.suffix or '')}"
    environment = snapshot.environment(work.run, options)
    shards = Batch("shards", name, {shard_unit(job.number): job for job in work.jobs()}, environment)
    merge = Batch("merge", f"{name}-merge", {MERGE: FinishJob(work.finish())}, environment)
    return [shards, merge] if work.shards else [merge]


def follow(work: Work, submission: Submission, options: SubmitOptions) -> int:
    """Says what was submitted. With --wait it shows how far that is until it is over, and what it came to."""
    on_cluster.tell(work.run, submission)
    if not options.wait:
        return DONE
    status = on_cluster.wait(work.run, submission, work.kind.doing)
    return tell_outcome(work) if status == DONE else status


def tell_outcome(work: Work) -> int:
    """Of work that was done elsewhere; returns the exit status."""
    lines, lacking = work.finish().outcome()
    for line in lines:
        print(line)
    return SOME_FAILED if lacking else DONE

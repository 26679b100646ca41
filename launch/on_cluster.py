"""What sending a run to a cluster takes, whatever the run is: submission, dry run, waiting."""

from __future__ import annotations

import dataclasses
import os
import shlex
import sys
from collections.abc import Sequence
from typing import Any

from ecgan.errors import UserError
from ecgan.files import write_atomically
from ecgan.runtime.devices import Device, DeviceChoice
from jobs.commands import called
from jobs.run import record, submission
from jobs.run.folder import RunDir
from jobs.run.kind import Kind
from jobs.run.state import State
from jobs.run.status import read_status
from jobs.run.submission import Submission, SubmittedJob, read_submission
from jobs.yaml_files import to_yaml
from launch import snapshot, steps
from launch.awaited import watch
from launch.cluster_options import ClusterOptions
from launch.command import DONE, INTERRUPTED, SOME_FAILED, STOPPED, Terminated
from launch.scheduler import scheduler_of
from slurm.scheduler import Batch, Cluster


def insist_idle(run: RunDir) -> None:
    """Raises UserError if jobs of an earlier submission may still write to the run."""
    submission = read_submission(run.submission)
    if submission is None:
        return
    scheduler = scheduler_of(submission)
    states = scheduler.job_states(submission.ids)
    if states is None:
        if not read_status(run.path).is_over:
            raise UserError(
                f"{run.path}: {scheduler.title} jobs {', '.join(submission.ids)} were submitted for it and may still "
                f"run, and no controller answers; choose another folder, or ask where {scheduler.title} answers"
            )
        return
    ours = os.environ.get(steps.BEGUN_BY)
    active = sorted(state.id for state in states.values() if not state.is_over and state.id != ours)
    if active:
        raise UserError(
            f"{run.path} is in use by {scheduler.title} job(s) {', '.join(active)}: wait for them, or end them with "
            f"{called('cancel')} {shlex.quote(str(run.path))}"
        )


def forget_submission(run: RunDir) -> None:
    """From now on the run is this command's, and so this machine's; a step is known as the run's job until there are
    others, so that whoever ends the run ends that."""
    insist_idle(run)
    if steps.BEGUN_BY not in os.environ:
        submission.forget(run.submission)


def device(asked: DeviceChoice, cluster: Cluster) -> Device:
    """What computes there: this machine's own devices do not count."""
    if asked != "auto":
        return asked
    return "cuda" if cluster.gpus_per_node else "cpu"


def threads(cluster: Cluster) -> str:
    """Of each process there, for a line that says what computes; nothing where its share of a node's cores decides."""
    return f", {cluster.threads} thread(s) each" if cluster.threads else ""


def submit(
    run: RunDir, cluster: Cluster, options: ClusterOptions, batches: Sequence[Batch], kind: Kind, **known: Any
) -> Submission:
    """Submits the batches, each behind the one before, the first behind what it says itself, with the code that they
    run, and notes them in the run's folder.

    `kind` and what is `known` begin the run's record. If one is refused, those before it are cancelled: they would lead
    nowhere. Raises UserError in the scheduler's words.
    """
    snapshot.take(run, options)
    write_atomically(run.cluster, to_yaml(dataclasses.asdict(cluster.settings)))
    record.begin(run, kind, State.SUBMITTED, **known)
    submission = Submission((), cluster.scheduler.name)
    try:
        for batch in batches:
            after = submission.ids[-1:] or batch.after
            id = cluster.submit(run.path, dataclasses.replace(batch, after=after))
            job = SubmittedJob(id, batch.kind, len(batch.jobs))
            submission = dataclasses.replace(submission, jobs=(*submission.jobs, job))
            submission.save(run.submission)
    except BaseException as error:
        if submission.jobs:
            cluster.scheduler.cancel(submission.ids)
        record.update(run, State.FAILED, error=f"not submitted: {error}")
        raise
    return submission


def dry_run(run: RunDir, settings: Any, cluster: Cluster, batches: Sequence[Batch]) -> None:
    """Prints the resolved configuration, the dataclass `settings` and the cluster's, and the exact text for the
    scheduler, and has it check that where it answers."""
    for title, values in (("settings", settings), ("cluster", cluster.settings)):
        print(f"\n{title}:")
        for line in to_yaml(dataclasses.asdict(values)).splitlines():
            print(f"  {line}")
    for number, batch in enumerate(batches):
        text = cluster.text(run.path, dataclasses.replace(batch, after=["ID"] if number else batch.after))
        print(f"\nscript of {batch.name}:\n{text}")
        answers, found = cluster.scheduler.answers()
        if not answers:
            print(f"not checked: {found}", flush=True)
            continue
        accepted, words = cluster.would_accept(run.path, batch)
        if not accepted:
            raise UserError(f"{cluster.scheduler.title} would refuse {batch.name}: {words}")
        print(f"checked: {words}", flush=True)


def tell(run: RunDir, submission: Submission) -> None:
    """Says what was submitted and how to follow it."""
    where = shlex.quote(str(run.path))
    for job in submission.jobs:
        print(f"submitted  {job.kind}: job {job.id}" + (f", {job.tasks} in an array" if job.tasks > 1 else ""))
    print(f"watch      {called('status')} {where} --watch")
    print(f"cancel     {called('cancel')} {where}", flush=True)


def wait(run: RunDir, submission: Submission, title: str) -> int:
    """Shows how far the run is until it is over; returns the exit status. Interrupted, it leaves the jobs alone."""
    try:
        status = watch(run.path, title)
    except (KeyboardInterrupt, Terminated) as error:
        print("\nno longer waiting; the jobs go on:", file=sys.stderr)
        tell(run, read_submission(run.submission) or submission)  # a step has submitted others, perhaps
        return INTERRUPTED if isinstance(error, KeyboardInterrupt) else STOPPED
    if status.state.is_success:
        print(f"done: {status.done} of {status.total} {status.unit}s")
        return DONE
    print(
        f"error: {status.state}: {status.error or 'see the logs'} (logs in {status.log or run.logs})", file=sys.stderr
    )
    return STOPPED if status.state.is_stop else SOME_FAILED

"""What sending a run to Slurm takes, whatever the run is: submission, dry run, waiting."""

from __future__ import annotations

import dataclasses
import os
import shlex
import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any

import yaml

from ecgan.errors import UserError
from ecgan.files import write_atomically
from ecgan.progress import progress_bar
from ecgan.runtime.devices import Device, DeviceChoice
from jobs.run import record
from jobs.run.folder import RunDir
from jobs.run.state import State
from jobs.run.status import Status, read_status
from jobs.run.submission import JobKind, Submission, SubmittedJob, read_submission
from launch import snapshot
from launch.command import DONE, INTERRUPTED, SOME_FAILED, STOPPED, Terminated
from launch.scheduler import with_scheduler
from launch.slurm_options import SlurmOptions
from slurm import controller, resources
from slurm.sbatch import enqueue, insist_on_usable, sbatch_text
from slurm.script import Shape
from slurm.site import Site
from slurm.supervisor import Supervised

#: Seconds between two looks at the run's files, and at the scheduler.
_TICK, _ASK = 1.0, 10.0
#: Looks at the scheduler that must all find no job before the run is given up.
_SURE = 3


def insist_idle(run: RunDir) -> None:
    """Raises UserError if jobs of an earlier submission may still write to the run."""
    submission = read_submission(run.submission)
    if submission is None:
        return
    states = controller.job_states(submission.ids)
    if states is None:
        if not read_status(run.path).is_over:
            raise UserError(
                f"{run.path}: Slurm jobs {', '.join(submission.ids)} were submitted for it and may still run, and no "
                "controller answers; choose another folder, or ask where Slurm answers"
            )
        return
    active = sorted(state.id for state in states.values() if not state.is_over)
    if active:
        raise UserError(
            f"{run.path} is in use by Slurm job(s) {', '.join(active)}: wait for them, or end them with "
            f"python launch/cancel.py {shlex.quote(str(run.path))}"
        )


def forget_submission(run: RunDir) -> None:
    """From now on the run is this machine's."""
    insist_idle(run)
    run.submission.unlink(missing_ok=True)


def device(asked: DeviceChoice, site: Site) -> Device:
    """What computes there: this machine's own devices do not count."""
    if asked != "auto":
        return asked
    return "cuda" if site.gpus_per_node else "cpu"


def threads(site: Site) -> str:
    """Of each process there, for a line that says what computes; nothing where its share of a node's cores decides."""
    said = site.environment.get(resources.THREADS) or os.environ.get(resources.THREADS) or site.cpus_per_task
    return f", {said} thread(s) each" if said else ""


def equip(run: RunDir, site: Site, options: SlurmOptions) -> None:
    """Gives the run what its jobs need beside their plan: code, and a note of where they go."""
    insist_on_usable(run.slurm)
    snapshot.take(run, options)
    write_atomically(run.cluster, yaml.safe_dump(dataclasses.asdict(site), sort_keys=False))


class Sending:
    """Submits the jobs of a run and notes them in its folder; used with `with`.

    If one is refused, those before it are cancelled: they would lead nowhere.
    """

    def __init__(self, run: RunDir, site: Site) -> None:
        self._run, self._site = run, site
        self._jobs: list[SubmittedJob] = []

    @property
    def submission(self) -> Submission:
        return Submission(tuple(self._jobs))

    def send(self, kind: JobKind, shape: Shape, jobs: Sequence[Supervised]) -> str:
        """Returns the id. Raises UserError if sbatch refuses."""
        job = SubmittedJob(enqueue(self._run.slurm, self._site, shape, jobs), kind, len(jobs))
        self._jobs.append(job)
        self.submission.save(self._run.submission)
        return job.id

    def __enter__(self) -> Sending:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if error is None:
            return
        if self._jobs:
            controller.cancel(self.submission.ids)
        record.update(self._run, State.FAILED, error=f"not submitted: {error}")


def dry_run(run: RunDir, settings: Any, site: Site, shapes: Sequence[tuple[Shape, int]]) -> None:
    """Prints the resolved configuration, the dataclass `settings` and the site, and the exact text for sbatch, and has
    sbatch check it where a controller answers."""
    for title, values in (("settings", settings), ("cluster", site)):
        print(f"\n{title}:")
        for line in yaml.safe_dump(dataclasses.asdict(values), sort_keys=False).splitlines():
            print(f"  {line}")
    for shape, count in shapes:
        insist_on_usable(run.slurm)
        text = sbatch_text(run.slurm, site, shape, count)
        print(f"\nsbatch script of {shape.name}:\n{text}")
        independent = sbatch_text(run.slurm, site, dataclasses.replace(shape, dependency=None), count)
        answers, found = controller.controller_answers()
        if not answers:
            print(f"not checked: {found}", flush=True)
            continue
        accepted, words = controller.would_accept(independent)
        if not accepted:
            raise UserError(f"sbatch would refuse {shape.name}: {words}")
        print(f"checked: {words}", flush=True)


def tell(run: RunDir, submission: Submission) -> None:
    """Says what was submitted and how to follow it."""
    where = shlex.quote(str(run.path))
    for job in submission.jobs:
        print(f"submitted  {job.kind}: job {job.id}" + (f", {job.tasks} in an array" if job.tasks > 1 else ""))
    print(f"watch      python launch/status.py {where} --watch")
    print(f"cancel     python launch/cancel.py {where}", flush=True)


def wait(run: RunDir, submission: Submission, title: str) -> int:
    """Shows how far the run is until it is over; returns the exit status. Interrupted, it leaves the jobs alone."""
    try:
        status = _watch(run, title)
    except (KeyboardInterrupt, Terminated) as error:
        print("\nno longer waiting; the jobs go on:", file=sys.stderr)
        tell(run, submission)
        return INTERRUPTED if isinstance(error, KeyboardInterrupt) else STOPPED
    if status.state.is_success:
        print(f"done: {status.done} of {status.total} {status.unit}s")
        return DONE
    print(
        f"error: {status.state}: {status.error or 'see the logs'} (logs in {status.log or run.logs})", file=sys.stderr
    )
    return STOPPED if status.state.is_stop else SOME_FAILED


def _watch(run: RunDir, title: str) -> Status:
    """Until the run is over, from its files; now and then, and before that is believed, the scheduler is asked."""
    status = read_status(run.path)
    asked, absent = 0.0, 0
    with progress_bar(status.total or 0, title, status.unit, initial=status.done or 0) as bar:
        while True:
            if status.is_over or time.monotonic() - asked >= _ASK:
                asked = time.monotonic()
                [status] = with_scheduler([status])
                absent = absent + 1 if status.is_over else 0
            if status.done is not None and status.done > bar.n:
                bar.update(status.done - bar.n)
            # A job that has ended may have files that have not come through yet.
            if status.is_over and (not status.state.is_presumed or absent >= _SURE):
                return status
            if not status.state.is_at_work:
                bar.unpause()
            words = ", ".join([status.state, *status.scheduler[:1]])
            if words != bar.postfix:
                bar.set_postfix_str(words)
            time.sleep(_TICK)
            status = read_status(run.path)

"""Steps: small jobs that begin a run's command on a node, as a user would, and submit what is to go on after it.

Whoever waits for something with one submits it to run when that has ended, however it has. So no job ever waits for a
success that does not come, and no process lives as long as what is waited for.
"""

from __future__ import annotations

import contextlib
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ecgan.errors import Unavailable, UserError
from jobs import stop
from jobs.run import attempts
from jobs.run.folder import RunDir
from jobs.run.submission import Submission, SubmittedJob
from launch.scheduler import scheduler_of
from slurm.processes import inherited, resources
from slurm.processes.command import Command
from slurm.scheduler import Batch, Cluster, Scheduler
from slurm.schedulers import SCHEDULERS

#: Seconds between two looks at a command, and at what may not be so in a moment.
_TICK, AGAIN = 0.2, 5.0
#: What the last job of a submission is that is whole: one that a command was killed in lacks the merge.
_LAST = ("training", "merge", "step")
#: In the environment of a command: the job that has begun it, which is one of the run that it is about to submit.
BEGUN_BY = "ECGAN_STEP"
#: What our own job has set of the environment, and is not to be passed on to those that it submits.
_OURS = (attempts.VARIABLE, BEGUN_BY, resources.THREADS, "OPENBLAS_NUM_THREADS")
_KEPT = "SLURM_CONF"


@dataclass(frozen=True, kw_only=True)
class Step(ABC):
    """What a step runs; picklable. `home`: the run whose job it is, a job of `scheduler`.

    `environment`: of its shell; `given`: variables as they were where the run was submitted.
    """

    home: Path
    scheduler: str
    environment: Mapping[str, str]
    given: Mapping[str, str]

    @property
    @abstractmethod
    def unit(self) -> str:
        """What it is an attempt at."""

    @abstractmethod
    def __call__(self) -> None: ...

    def batch(self, *others: Step, after: Sequence[str] = ()) -> Batch:
        """Of it, and of others of its run, to run when the jobs `after` have ended."""
        jobs = {step.unit: step for step in (self, *others)}
        return Batch("step", f"ecgan-{self.home.name}", jobs, self.environment, after)

    @property
    def its_scheduler(self) -> Scheduler:
        return SCHEDULERS[self.scheduler]

    @property
    def cluster(self) -> Cluster:
        """As the run was submitted to it."""
        return self.its_scheduler.cluster(RunDir(self.home).cluster, {})

    def run(self, command: str, options: Sequence[str], log: Path, more: Mapping[str, str] | None = None) -> int:
        """A command of launch/, as if from outside of any job; returns its status. `more`: of its environment.

        Raises Stopped if this job is told to end meanwhile: the next one begins the command again.
        """
        begun = Command(f"launch.{command}", options, self._outside | dict(more or {}), log, whole=True)
        asked = False
        while begun.status is None:
            if stop.requested() and not asked:  # again would end it while it withdraws what it has submitted
                begun.ask_to_stop()
                asked = True
            time.sleep(_TICK)
        if stop.requested():
            raise stop.Stopped
        return begun.wait()

    def was_away(self) -> bool:
        """Whether the scheduler gives no answer at this moment; returns once it does. A controller that is restarted
        costs nothing but that time. Raises Stopped if this job is told to end meanwhile."""
        scheduler, away = self.its_scheduler, False
        while not (said := scheduler.answers())[0]:
            if not away:
                print(f"waiting for {scheduler.title}: {said[1]}", flush=True)
            away = True
            if stop.requested():
                raise stop.Stopped
            time.sleep(AGAIN)
        return away

    def was_unheard(self, says_so: bool) -> bool:
        """Whether what has failed got no answer of the scheduler's: since it says so itself, or may be so, for there is
        no answer now either. Returns once there is one. Raises Stopped like `was_away`."""
        if self.was_away():
            return True
        if says_so:  # it has come back meanwhile
            time.sleep(AGAIN)
        return says_so

    def submit(self, after: Sequence[str]) -> Submission:
        """Submits it, from another step of its run, to run when the jobs `after` have ended. Raises UserError."""
        attempts.insist_on_newest()
        with _in_environment(self._outside):
            while True:
                try:
                    job = SubmittedJob(self.cluster.submit(self.home, self.batch(after=after)), "step")
                    return Submission((job,), self.scheduler)
                except UserError as error:
                    if not self.was_unheard(isinstance(error, Unavailable)):
                        raise

    @property
    def _outside(self) -> dict[str, str]:
        """The environment as it would be in no job: what we submit must not take our place for its own."""
        ours = {name: value for name, value in inherited.environment().items() if name not in _OURS}
        return ours | {name: os.environ[name] for name in (_KEPT,) if name in os.environ} | dict(self.given)


def given() -> dict[str, str]:
    """The variables of this process that a step must not replace by its own, for what it submits."""
    return {name: os.environ[name] for name in _OURS if name in os.environ}


def is_whole(submission: Submission) -> bool:
    """Whether all of it has been submitted."""
    return submission.jobs[-1].kind in _LAST


def withdraw(submission: Submission) -> None:
    """Ends what a command had submitted that could not submit all; returns once nothing of it runs."""
    scheduler = scheduler_of(submission)
    scheduler.cancel(submission.ids)
    while any(not state.is_over for state in (scheduler.job_states(submission.ids) or {}).values()):
        time.sleep(_TICK)


@contextlib.contextmanager
def _in_environment(environment: Mapping[str, str]) -> Iterator[None]:
    """Our own is that, for what is started meanwhile."""
    before = dict(os.environ)
    try:
        os.environ.clear()
        os.environ.update(environment)
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)

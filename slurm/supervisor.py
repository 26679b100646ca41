"""What a Slurm job runs in its batch step: it starts the processes that compute, and sees to how they end.

Each start is an attempt with a number of its own (`jobs.run.attempts`). What comes from Slurm and what is done:

- SIGUSR2, ahead of the time limit or of a preemption where the site sends it: the processes finish
  their step or picture, save and end; this job goes back into the queue.
- SIGTERM, from scancel or a preemption: the same, but never back into the queue by our own doing.
  Slurm does that itself with what it preempts, if the job has not ended before.
- One of the processes dies: srun ends the others, and the job fails with the word of that one.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from ecgan.errors import told
from jobs import stop
from jobs.run import attempts
from jobs.run.attempts import Attempt
from jobs.run.folder import RunDir
from jobs.run.notify import tell_end
from jobs.run.state import State
from slurm import controller
from slurm.processes import ends, resources, streams
from slurm.processes.ranks import Ranks
from slurm.processes.starters import Starter
from slurm.script import Shape, allocation
from slurm.site import Site
from slurm.starters import in_allocation

_TICK = 0.5
#: Seconds after a signal to this process after which the others are told, in case that they got none.
_PASS_ON = 2.0
#: Seconds between two questions for the time limit, which may be changed meanwhile.
_ASK = 60
#: How often ranks are started until they have found each other, and the seconds that they have for it: those that
#: still compile are waited for.
_STARTS, _JOIN = 3, 1200
#: Attempts in a row that ended without having come further, after which a job is not put back into the queue.
_FRUITLESS = 3
#: Seconds to wait for Slurm to end a job that has ended its work because Slurm asked.
_PATIENCE = 120


@dataclass(frozen=True)
class Supervised:
    """`job`, run by the tasks of `shape` together; picklable, called in the batch step.

    `unit` names it among the attempts in `folder`/attempts; logs go to `folder`/logs/UNIT-NUMBER.
    """

    folder: Path
    unit: str
    job: Callable[[], Any]
    site: Site
    shape: Shape

    def __call__(self) -> None:
        """Returns if the job is done; else ends the process with a status that says how it went."""
        streams.make_lossy()
        attempt = attempts.begin(RunDir(self.folder).attempts, self.unit, **_place())
        try:
            self._run(attempt)
        except OSError as error:
            _end(attempt, State.FAILED, ends.FAILED, message=told(error, self.folder))
        finally:
            self._notify(attempt)

    def _run(self, attempt: Attempt) -> None:
        logs = RunDir(self.folder).logs / attempt.name
        logs.mkdir(parents=True)
        attempt.note(log=str(logs))
        stop.listen()
        print(f"{attempt.name} on {os.environ.get('SLURM_JOB_NODELIST')}; logs in {logs}", flush=True)
        ranks = self._start(attempt, logs)
        for _ in range(_STARTS - 1):
            self._watch(attempt, ranks)
            if self._has_begun(attempt, ranks):
                break
            print(f"the ranks did not find each other ({ranks.trouble()}): starting them again", flush=True)
            attempt.start_again()
            ranks = self._start(attempt, logs)
        else:
            self._watch(attempt, ranks)
        self._conclude(attempt, ranks)

    def _start(self, attempt: Attempt, logs: Path) -> Ranks:
        threads = resources.threads(self.shape.tasks_per_node, self.site.cpus_per_task)
        environment = {
            **resources.thread_environment(threads),
            attempts.VARIABLE: str(attempt.path),
            # The ranks meet when all have compiled what they need, which may take some of them minutes.
            "SLURM_PMIX_TIMEOUT": "3600",
        } | self.site.environment
        return Ranks(self.job, self._starter, environment, logs)

    @property
    def _starter(self) -> Starter:
        return in_allocation(self.site.launcher, allocation(self.site, self.shape))

    def _has_begun(self, attempt: Attempt, ranks: Ranks) -> bool:
        """False for ranks that crashed, or were given up, on their way into one world: MPI's start is not always sure,
        and nothing is lost by another."""
        alone = self._starter.count == 1
        no_crash = ranks.status in (ends.DONE, ends.STOPPED, ends.HOPELESS, ends.SUPERSEDED)
        return alone or no_crash or attempt.joining_since is None or attempt.has_joined or stop.requested()

    def _notify(self, attempt: Attempt) -> None:
        """Tells the user, if this was the end of the run: it has ended well where a training or a merge has, and ill
        where anything has but a shard, of which the merge will tell."""
        details = attempt.details
        outcome, is_step = details.outcome, self.unit.startswith((attempts.LANE, attempts.AFTER))
        ends_run = self.unit in (attempts.TRAINING, attempts.MERGE)
        if outcome and ((outcome.is_success and ends_run) or (outcome.is_failure and (ends_run or is_step))):
            tell_end(self.site.notify, self.folder, outcome, details.message)

    def _watch(self, attempt: Attempt, ranks: Ranks) -> None:
        """Until all have ended."""
        told_at: float | None = None
        end = asked_at = None
        while not ranks.wait(_TICK):
            if not self._starter.is_warned and (asked_at is None or time.monotonic() - asked_at > _ASK):
                asked_at = time.monotonic()
                end = controller.end_of(os.environ["SLURM_JOB_ID"])
            if not attempt.is_newest or _is_overdue(attempt):
                ranks.kill()
            warned = stop.requested() or (end is not None and time.time() > end - self.site.warn_seconds)
            if warned and told_at is None:
                told_at = time.monotonic()
            if told_at is not None and time.monotonic() - told_at > _PASS_ON:
                ranks.ask_to_stop()
                told_at = float("inf")

    def _conclude(self, attempt: Attempt, ranks: Ranks) -> None:
        status, trouble = ranks.status, ranks.trouble()
        signals = {*ranks.stopped_by, stop.first_signal()}
        if not attempt.is_newest or status == ends.SUPERSEDED:
            print(f"{attempt.name} superseded", flush=True)
            sys.exit(0)
        if status == ends.DONE:
            attempt.note(outcome=State.DONE)
            return
        if ranks.has_lost_node:  # Slurm ends the job and queues it again
            attempt.note(outcome=State.STOPPED, message=trouble)
            _sleep_until_killed(attempt)
            sys.exit(ends.FAILED)
        if status != ends.STOPPED and not ranks.died_of_warning and "SIGTERM" not in signals:
            _end(attempt, State.FAILED, ends.HOPELESS if status == ends.HOPELESS else ends.FAILED, message=trouble)
        if "SIGTERM" in signals:
            attempt.note(outcome=State.STOPPED, signal="SIGTERM")
            _wait_for_slurm()
            sys.exit(ends.STOPPED)
        self._go_on_later(attempt, ranks.progressed)

    def _go_on_later(self, attempt: Attempt, progressed: bool) -> NoReturn:
        """Puts this job back into the queue, unless that leads nowhere."""
        attempt.note(progressed=progressed)
        if not self.site.requeue:
            _end(attempt, State.STOPPED, ends.STOPPED, signal="SIGUSR2")
        if not progressed and _fruitless(attempt) >= _FRUITLESS:
            why = f"the last {_FRUITLESS} attempts ended before they had come any further; a longer --time may help"
            _end(attempt, State.FAILED, ends.FAILED, message=why)
        attempt.note(outcome=State.REQUEUED, signal="SIGUSR2")
        # What Slurm sends once it has queued the job again may come before its answer, and must not be lost.
        ended = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: ended.set())
        accepted, why = _requeue()
        if not accepted:
            _end(attempt, State.STOPPED, ends.STOPPED, message=f"could not be put back into the queue: {why}")
        if not ended.is_set():
            _sleep_until_killed(attempt)
        sys.exit(ends.STOPPED)


def _is_overdue(attempt: Attempt) -> bool:
    """Whether ranks that look for each other will not find each other any more."""
    since = attempt.joining_since
    return since is not None and not attempt.has_joined and time.time() - since > _JOIN


def _place() -> dict[str, Any]:
    """Where this attempt runs, for its file."""
    array, element = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    job = f"{array}_{element}" if array else os.environ["SLURM_JOB_ID"]
    return {
        "job": job,
        "nodes": os.environ.get("SLURM_JOB_NODELIST", ""),
        "host": socket.gethostname(),
    }


def _fruitless(attempt: Attempt) -> int:
    """Of the last attempts, how many in a row have come no further."""
    count = 0
    for each in reversed(attempts.every(attempt.folder, attempt.unit)):
        if each.details.progressed is not False:
            break
        count += 1
    return count


def _end(attempt: Attempt, outcome: State, status: int, **details: Any) -> NoReturn:
    attempt.note(outcome=outcome, **details)
    print(f"{attempt.name} {outcome}: {details.get('message') or ''}", flush=True)
    sys.exit(status)


def _wait_for_slurm() -> None:
    """Until Slurm has ended the job that it asked to end: one that it preempts is put back into the queue only if it
    has not ended by itself. Returns at once where that is not so."""
    job, deadline = os.environ["SLURM_JOB_ID"], time.monotonic() + _PATIENCE
    while controller.is_being_preempted(job) is not False and time.monotonic() < deadline:
        time.sleep(_TICK)


def _requeue() -> tuple[bool, str]:
    """Again and again for a while: the controller may be away for a moment."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        accepted, why = controller.requeue(os.environ["SLURM_JOB_ID"])
        if accepted or time.monotonic() > deadline:
            return accepted, why
        time.sleep(_TICK)


def _sleep_until_killed(attempt: Attempt) -> None:
    """Ending by ourselves might be taken for the end of the job; what it is killed with comes soon. Where nobody is
    left on this node to do that, until the next attempt has begun."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    deadline = time.monotonic() + _PATIENCE
    while attempt.is_newest and time.monotonic() < deadline:
        time.sleep(_TICK)

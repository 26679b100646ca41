"""This machine as a cluster of one: a bounded pool of worker processes that jobs queue for."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Literal

from slurm.processes import inherited
from slurm.processes.ends import cause

#: Seconds between two looks at the workers.
_TICK = 0.25
#: Seconds that workers have to stop when asked, before they are killed.
_GRACE = 3.0
#: How often a job is given to a worker, if workers die under it.
ATTEMPTS = 3
#: Workers that may die in a row, with no job ended between, before it is taken for a cause common to all.
_DEATHS = 2 * ATTEMPTS

Job = Callable[[], Any]


@dataclass(frozen=True)
class JobOutcome:
    """How a job ended; `message` says why, if not as it should.

    "hopeless": an error that no other job would escape; "lost": its workers died, `ATTEMPTS` times.
    """

    state: Literal["done", "stopped", "failed", "hopeless", "lost"]
    message: str = ""


@dataclass
class _Worker:
    number: int
    process: subprocess.Popen[bytes]
    connection: Connection
    job: int | None = None


class LocalPool:
    """Runs jobs in as many processes as there are `environments`, each with its own on top of ours.

    Output of worker K goes to `logs`/worker-K.log. `keep_open`: descriptors that workers inherit.
    """

    def __init__(self, environments: Sequence[Mapping[str, str]], logs: Path, keep_open: Sequence[int] = ()) -> None:
        self._environments, self._logs, self._keep_open = environments, logs, tuple(keep_open)
        self._workers: dict[int, _Worker] = {}
        self._deaths = 0

    def run(self, jobs: Sequence[Job], tick: Callable[[], None]) -> list[JobOutcome]:
        """Runs all `jobs`; returns their outcomes in the same order. `tick` is called a few times a second.

        A job whose worker dies is given to a new one. One hopeless job stops all. Whatever `tick` or
        a signal raises here (KeyboardInterrupt, say) ends all workers within seconds and goes on up.
        """
        outcomes: dict[int, JobOutcome] = {}
        queue, attempts = deque(range(len(jobs))), [0] * len(jobs)
        try:
            while len(outcomes) < len(jobs):
                self._hand_out(jobs, queue, attempts)
                for worker in self._wait():
                    self._receive(worker, queue, attempts, outcomes)
                if any(outcome.state == "hopeless" for outcome in outcomes.values()):
                    break
                tick()
        finally:
            self._end_workers()
        return [outcomes.get(number, JobOutcome("stopped")) for number in range(len(jobs))]

    def _hand_out(self, jobs: Sequence[Job], queue: deque[int], attempts: list[int]) -> None:
        for number in range(len(self._environments)):
            if not queue:
                return
            worker = self._workers.get(number)
            if worker is None:
                worker = self._workers[number] = self._start(number)
            if worker.job is None:
                with contextlib.suppress(OSError):  # it died just now; _receive sees to that
                    worker.job = queue.popleft()
                    attempts[worker.job] += 1
                    worker.connection.send(jobs[worker.job])

    def _start(self, number: int) -> _Worker:
        ours, theirs = Pipe()
        with open(self._logs / f"worker-{number}.log", "ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "slurm.processes.worker", str(theirs.fileno()), str(self._logs)],
                env=inherited.environment() | dict(self._environments[number]) | {"PYTHONUNBUFFERED": "1"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(theirs.fileno(), *self._keep_open),
                start_new_session=True,  # Ctrl-C on the terminal is the launcher's to pass on
            )
        theirs.close()
        return _Worker(number, process, ours)

    def _wait(self) -> list[_Worker]:
        ready = wait([worker.connection for worker in self._workers.values()], _TICK)
        return [worker for worker in self._workers.values() if worker.connection in ready]

    def _receive(
        self, worker: _Worker, queue: deque[int], attempts: list[int], outcomes: dict[int, JobOutcome]
    ) -> None:
        job = worker.job
        try:
            outcome: JobOutcome = worker.connection.recv()
        except (EOFError, OSError):
            del self._workers[worker.number]
            worker.connection.close()
            code = worker.process.wait()
            _signal(worker, signal.SIGKILL)  # what it had started and left behind
            if job is not None:
                self._give_again(job, _death(code), queue, attempts, outcomes)
            return
        worker.job = None
        assert job is not None
        if (
            outcome.state == "stopped"
        ):  # not by us: somebody sent its worker a signal, and it will stop whatever it is given
            del self._workers[worker.number]
            worker.connection.close()
            self._give_again(job, "its worker was told to stop from outside", queue, attempts, outcomes)
            return
        self._deaths = 0
        outcomes[job] = outcome

    def _give_again(
        self, job: int, reason: str, queue: deque[int], attempts: list[int], outcomes: dict[int, JobOutcome]
    ) -> None:
        self._deaths += 1
        if self._deaths > _DEATHS:
            outcomes[job] = JobOutcome("hopeless", message=f"{reason}; {self._deaths} workers in a row ended so")
        elif attempts[job] < ATTEMPTS:
            queue.appendleft(job)
        else:
            outcomes[job] = JobOutcome("lost", message=f"{reason}, {ATTEMPTS} times")

    def _end_workers(self) -> None:
        """Asks every worker to stop, kills those that have not after the grace, with all their children."""
        workers, self._workers = list(self._workers.values()), {}
        for worker in workers:
            if worker.job is None:
                worker.connection.close()  # idle: it ends by itself
            else:
                _signal(worker, signal.SIGTERM)
        deadline = time.monotonic() + _GRACE
        for worker in workers:
            with contextlib.suppress(subprocess.TimeoutExpired):
                if worker.job is not None:
                    _finished(worker, deadline)
                worker.connection.close()
                worker.process.wait(max(0.1, deadline - time.monotonic()))
            _signal(worker, signal.SIGKILL)
            worker.process.wait()


def _finished(worker: _Worker, deadline: float) -> None:
    """Waits for the outcome of the job that was asked to stop."""
    wait([worker.connection], max(0.0, deadline - time.monotonic()))


def _signal(worker: _Worker, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(worker.process.pid, number)


def _death(code: int) -> str:
    return f"its worker {f'ended with status {code}' if code >= 0 else cause(-code)}"

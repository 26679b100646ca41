"""Which processes belong to a run, and a blow: a signal to some of them at a moment that the case's chance decides."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from slurm.devcluster import processes
from tests.campaign.case import Case, Fault, insist
from tests.campaign.work import Training, Work
from tests.conftest import commands, wait_until

#: Seconds in which all that a killed run has started must be gone, and a command must end.
_GONE, _ENDED = 180, 300
#: Before it a process is Python's own, and dies of signals as any Python does.
_PYTHON = 0.6
#: In which a worker or rank begins.
_BEGUN = 10
_LEAST = 0.15


@dataclass(frozen=True)
class Ended:
    """A command that has ended; what it printed, and what it said of errors."""

    status: int
    output: str
    errors: str


def own(folder: Path) -> list[tuple[int, str]]:
    """Process and command line of all that works in `folder`, and what these have started."""
    table = {entry.process.pid: entry.parent for entry in processes.table()}
    named = dict(commands())
    found = {pid for pid, command in named.items() if f"{folder}/" in command and pid != os.getpid()}
    while more := {pid for pid, parent in table.items() if parent in found} - found:
        found |= more
    return [(pid, named.get(pid, "")) for pid in found]


def finish(
    command: Sequence[str],
    meanwhile: Callable[[subprocess.Popen[bytes]], object] = lambda job: None,
    environment: Mapping[str, str] | None = None,
) -> Ended:
    """Runs a command to its end, `meanwhile` beside it. Raises Fault if it does not end, or with a traceback."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        # in a group of its own, as a shell starts it
        job = subprocess.Popen(command, stdout=output, stderr=errors, process_group=0, env=environment)
        try:
            meanwhile(job)
            job.wait(_ENDED)
        except subprocess.TimeoutExpired:
            raise Fault(f"{Path(command[1]).name} did not end in {_ENDED} s") from None
        finally:
            if job.poll() is None:
                os.killpg(job.pid, signal.SIGKILL)
                job.wait()
        said = []
        for file in (output, errors):
            file.seek(0)
            said.append(file.read().decode(errors="replace"))
        ended = Ended(job.returncode, *said)
    insist("Traceback" not in ended.errors, f"a traceback: {ended.errors[-600:]}")
    return ended


def run_to_the_end(work: Work, *more: object) -> None:
    """The same command, undisturbed; it must succeed."""
    ended = finish(work.command(*more))
    insist(ended.status == 0, f"the same command ended with status {ended.status}: {ended.errors[-600:]}")


def wait_until_gone(folder: Path) -> None:
    """Raises Fault if something still works there after a while."""
    try:
        wait_until(lambda: not own(folder), _GONE)
    except AssertionError:
        raise Fault(f"still runs: {[command[:200] for _, command in own(folder)]}") from None


def strike_and_check(case: Case, work: Work, seconds: float) -> Ended:
    """Starts the command, strikes it within `seconds`, and looks at what is left once all of it has ended."""
    blow = Blow.drawn(case.chance, isinstance(work, Training), seconds)
    struck: list[str] = []
    ended = finish(work.command(), lambda job: struck.extend(blow.strike(job, case.folder)))
    if struck:
        case.kills.append(f"{blow.signal.name} to {struck[0]} after {blow.after:.2f} s: status {ended.status}")
    wait_until_gone(case.folder)
    if struck:
        allowed = blow.statuses(struck[0])
        insist(ended.status in allowed, f"{case.kills[-1]}, not of {sorted(allowed)}: {ended.errors[-600:]}")
    else:
        insist(ended.status == 0, f"it was not struck, and ended with status {ended.status}: {ended.errors[-600:]}")
    work.insist_on_record()
    return ended


@dataclass(frozen=True)
class Blow:
    """`target`: launcher, group (as Ctrl-C on a terminal), part (a worker or rank), mpirun, or all at once. `again`: so
    many seconds later the same once more, if it still runs."""

    target: str
    signal: signal.Signals
    after: float
    again: float | None

    @classmethod
    def drawn(cls, chance: random.Random, is_training: bool, seconds: float) -> Blow:
        targets, weights = ["launcher", "group", "part", "all"], [40, 15, 30, 15]
        if is_training:
            targets, weights = [*targets, "mpirun"], [30, 15, 30, 10, 15]
        target = chance.choices(targets, weights)[0]
        number = chance.choices([signal.SIGKILL, signal.SIGTERM, signal.SIGINT], [50, 30, 20])[0]
        number = signal.SIGKILL if target == "all" else number
        again = chance.uniform(0, 1) if chance.random() < 0.2 else None
        return cls(target, number, _LEAST + chance.uniform(0, seconds), again)

    def strike(self, job: subprocess.Popen[bytes], folder: Path) -> list[str]:
        """Returns what was struck: none if it had ended before. The launcher, if what was meant does not begin."""
        with suppress(subprocess.TimeoutExpired):
            job.wait(self.after)
            return []
        if self.target == "part":
            deadline = time.monotonic() + _BEGUN
            while not _parts(folder) and sleep_while_running(job, 0.05) and time.monotonic() < deadline:
                pass
        struck = self._send(job, folder)
        if struck and self.again is not None:
            with suppress(subprocess.TimeoutExpired):
                job.wait(self.again)
                return struck
            self._send(job, folder)
        return struck

    def _send(self, job: subprocess.Popen[bytes], folder: Path) -> list[str]:
        found = own(folder)
        parts = [pid for pid, _ in _parts(folder)]
        mpirun = [pid for pid, line in found if "mpirun" in line.split(" ")[0]]
        chosen = {"part": parts[:1] if self.after % 0.02 < 0.01 else parts[-1:], "mpirun": mpirun[:1]}
        if self.target == "all":
            for pid in {job.pid, *(pid for pid, _ in found)}:
                _signal(pid, self.signal)
            return ["all"]
        if pids := chosen.get(self.target):
            _signal(pids[0], self.signal)
            return [self.target]
        if self.target == "group":
            with suppress(ProcessLookupError):
                os.killpg(job.pid, self.signal)
            return ["group"]
        _signal(job.pid, self.signal)
        return ["launcher"]

    def on_cluster(self, folder: Path) -> str | None:
        """The same to a process of the jobs that Slurm runs there; returns which, None if there is none."""
        found = sorted((pid, line) for pid, line in own(folder) if "launch/" not in line)
        parts = sorted(_parts(folder))
        among = found if self.target == "group" or not parts else parts
        if not among:
            return None
        pid, line = among[int(self.after * 1000) % len(among)]
        _signal(pid, self.signal)
        return " ".join(Path(word).name for word in line.split()[:4])

    def statuses(self, struck: str) -> set[int]:
        """How the command may end, struck so: 0 if it was done, or could make good what was lost."""
        if struck in ("part", "mpirun"):
            return {0, 1, 75, 130}
        if self.signal is signal.SIGKILL:
            return {0, -signal.SIGKILL}
        early = {-self.signal} if self.after < _PYTHON else set()
        return {0, 130 if self.signal is signal.SIGINT else 75} | early


def _parts(folder: Path) -> list[tuple[int, str]]:
    """Workers and ranks."""
    names = ("slurm.processes.worker", "slurm.processes.rank")
    return [
        (pid, line) for pid, line in own(folder) if line.startswith(sys.executable) and any(n in line for n in names)
    ]


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def sleep_while_running(job: subprocess.Popen[bytes], seconds: float) -> bool:
    """Whether it still runs afterwards."""
    deadline = time.monotonic() + seconds
    while job.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    return job.poll() is None

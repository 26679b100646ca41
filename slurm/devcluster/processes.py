"""Processes by id and start time, so that an id that was given to another process is never signalled."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_INTERVAL = 0.05
#: Processes that this one started: they stay as zombies until they are asked after.
_children: dict[int, subprocess.Popen[bytes]] = {}


@dataclass(frozen=True)
class Process:
    """`started`: clock ticks from the machine's start."""

    pid: int
    started: int


@dataclass(frozen=True)
class Entry:
    """A line of the process table."""

    process: Process
    parent: int


def boot() -> str:
    """Differs from one start of the machine to the next."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def read(pid: int) -> Entry | None:
    """None if there is no such process, or if it has ended and only waits to be asked after."""
    try:
        stat = (Path("/proc") / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return None
    state, parent, *rest = stat[stat.rindex(")") + 1 :].split()
    return None if state in "ZX" else Entry(Process(pid, int(rest[17])), int(parent))


def table() -> list[Entry]:
    """Everything that runs."""
    found = (read(int(name)) for name in os.listdir("/proc") if name.isdigit())
    return [entry for entry in found if entry is not None]


def alive(process: Process) -> bool:
    if child := _children.get(process.pid):
        child.poll()
    entry = read(process.pid)
    return entry is not None and entry.process == process


def start(command: Sequence[str], environment: Mapping[str, str], log: Path) -> Process:
    """Starts `command` in a session of its own, with all it says going to `log`. Raises OSError."""
    with open(log, "ab") as output:
        child = subprocess.Popen(
            command,
            env=environment,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    _children[child.pid] = child
    entry = read(child.pid)
    return entry.process if entry else Process(child.pid, 0)


def send(process: Process, number: signal.Signals) -> None:
    """Signals `process` if it is still the one that we know; the descriptor rules out a race."""
    with contextlib.suppress(ProcessLookupError):
        descriptor = os.pidfd_open(process.pid)
        try:
            if alive(process):
                signal.pidfd_send_signal(descriptor, number)
        finally:
            os.close(descriptor)


def end(processes: Iterable[Process], number: signal.Signals, patience: float) -> list[Process]:
    """Signals all, waits up to `patience` seconds, returns those that still run."""
    left = list(processes)
    for process in left:
        send(process, number)
    deadline = time.monotonic() + patience
    while (left := [process for process in left if alive(process)]) and time.monotonic() < deadline:
        time.sleep(_INTERVAL)
    return left

"""Asking a running job to stop: signals set a flag, the job looks at it where stopping is safe."""

from __future__ import annotations

import os
import signal
import threading

_requested = threading.Event()
_first_signal: str | None = None


class Stopped(Exception):
    """The job was asked to stop and did, with everything finished so far kept.

    `progressed`: whether it had come any further since it was started.
    """

    def __init__(self, progressed: bool = True) -> None:
        super().__init__()
        self.progressed = progressed


def requested() -> bool:
    return _requested.is_set()


def request(by: signal.Signals | None = None) -> None:
    """`by`: the signal that this stands for, if it does for one."""
    global _first_signal
    if by is not None:
        _first_signal = _first_signal or by.name
    _requested.set()


def first_signal() -> str | None:
    """The signal that asked first: a scheduler says with it why ("SIGUSR2", "SIGTERM"); None if none came."""
    return _first_signal


def listen(*signals: signal.Signals) -> None:
    """Lets `signals` (by default SIGTERM and SIGUSR2) ask this process to stop. Call from the main thread.

    Children that are forked later get the default handlers back: a child that ignores SIGTERM
    outlives its parent's attempt to end it.
    """
    for number in signals or (signal.SIGTERM, signal.SIGUSR2):
        signal.signal(number, _on_signal)
        signal.siginterrupt(number, False)  # Jittor takes an interrupted wait for a lock for an error
    os.register_at_fork(after_in_child=_default_handlers)


def _on_signal(number: int, _: object) -> None:
    request(signal.Signals(number))


def _default_handlers() -> None:
    for number in (signal.SIGTERM, signal.SIGUSR2, signal.SIGCONT):
        signal.signal(number, signal.SIG_DFL)

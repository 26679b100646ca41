"""Asking a running job to stop: signals set a flag, the job looks at it where stopping is safe."""

from __future__ import annotations

import os
import signal
import threading

_requested = threading.Event()


class Stopped(Exception):
    """The job was asked to stop and did, with everything finished so far kept."""


def requested() -> bool:
    return _requested.is_set()


def request() -> None:
    _requested.set()


def listen() -> None:
    """Lets SIGTERM and SIGUSR2 ask this process to stop. Call from the main thread.

    Children that are forked later get the default handlers back: a child that ignores SIGTERM
    outlives its parent's attempt to end it.
    """
    for number in (signal.SIGTERM, signal.SIGUSR2):
        signal.signal(number, lambda *_: _requested.set())
    os.register_at_fork(after_in_child=_default_handlers)


def _default_handlers() -> None:
    for number in (signal.SIGTERM, signal.SIGUSR2, signal.SIGCONT):
        signal.signal(number, signal.SIG_DFL)

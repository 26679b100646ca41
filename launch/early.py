"""The first that a command does, before its imports, which take seconds on a busy disk: from here on nothing that
happens to the process ends in a traceback.

A signal is one line and the status that it would have later. Closed outputs, full ones, and encodings without the
characters of a name end nothing.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
from typing import NoReturn

from slurm.processes import streams
from slurm.processes.ends import STOPPED

INTERRUPTED = 130


def begin(module: str) -> None:
    """For the module called so, if it is the command that is run, and not imported by another."""
    if module == "__main__":
        streams.make_lossy(insists_on_reader=True)
        atexit.register(_ignore)
        listen()


def listen() -> None:
    """From now on a signal ends this process at once: nothing has begun, or all has ended."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else somebody has had it ignored
        signal.signal(signal.SIGINT, _end)
    for number in (signal.SIGTERM, signal.SIGUSR2):
        signal.signal(number, _end)


def hand_over() -> bool:
    """Lets Ctrl-C raise KeyboardInterrupt again, for a command that cares what it has begun. Whether it was ours."""
    ours = signal.getsignal(signal.SIGINT) is _end
    if ours:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    return ours or signal.getsignal(signal.SIGTERM) is _end


def _ignore() -> None:
    """The last that is called: Python lets go of our handlers now, and a signal would take the status' place."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)


def _end(number: int, _: object) -> NoReturn:
    interrupted = number == signal.SIGINT
    sys.stderr.write("interrupted\n" if interrupted else stopped_by(number) + "\n")
    sys.stderr.flush()
    os._exit(INTERRUPTED if interrupted else STOPPED)


def stopped_by(number: int) -> str:
    return f"stopped by {signal.Signals(number).name}; the same command goes on from here"

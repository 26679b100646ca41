"""How processes end: the statuses of those that say so themselves, and what is said of those that could not."""

from __future__ import annotations

import signal

#: Its job is done, failed, can't run as it is, goes on elsewhere, or was stopped and can be resumed.
DONE, FAILED, HOPELESS, SUPERSEDED, STOPPED = 0, 1, 2, 3, 75


def cause(number: int) -> str:
    """What a signal's number, 0 if there was none, says about an end that came without a word."""
    if number not in set(signal.Signals):
        return "ended without a word (killed? out of memory?)"
    name = signal.Signals(number).name
    return f"was killed by {name}" + (" (out of memory?)" if name == "SIGKILL" else "")

"""What this package tells beside its results goes through `logging`. Processes that somebody reads show it."""

from __future__ import annotations

import logging
import sys

_LOGGER = logging.getLogger("ecgan")


class _Lines(logging.Handler):
    """Writes to what is standard error at that moment, which may have changed since the start."""

    def emit(self, record: logging.LogRecord) -> None:
        print(f"ecgan: {record.getMessage()}", file=sys.stderr, flush=True)


def show() -> None:
    """From now on a line on standard error for each message. For the entry points of processes: a library leaves it
    to whoever imports it."""
    if not any(isinstance(handler, _Lines) for handler in _LOGGER.handlers):
        _LOGGER.addHandler(_Lines())
    _LOGGER.setLevel(logging.INFO)
    _LOGGER.propagate = False

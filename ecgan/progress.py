"""Progress bars: tqdm on a terminal, plain lines now and then in a log."""

from __future__ import annotations

import sys
from typing import Any, TextIO

from tqdm import tqdm

#: Seconds between two lines in a log.
_LOG_INTERVAL = 10


def progress_bar(total: int, description: str, unit: str, initial: int = 0, **options: Any) -> tqdm:
    """A bar over `total` units on standard error. The rate, and the ETA from it, leave `initial` out."""
    options |= {"total": total, "desc": description, "unit": unit, "initial": initial, "smoothing": 0.05, "delay": 1}
    if sys.stderr.isatty():
        return tqdm(dynamic_ncols=True, **options)
    return tqdm(
        file=_Lines(sys.stderr),
        mininterval=_LOG_INTERVAL,
        maxinterval=_LOG_INTERVAL,
        bar_format="{desc}: {n_fmt}/{total_fmt} {unit}, {rate_fmt}, {elapsed} so far, {remaining} left{postfix}",
        **options,
    )


class _Lines:
    """Turns a bar's carriage returns into lines of their own."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        if line := text.replace("\r", "").strip():
            self._stream.write(line + "\n")

    def flush(self) -> None:
        self._stream.flush()

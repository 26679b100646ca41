"""Standard output and error that end no work: where a log can't grow, lines are lost and nothing else.

A disk may be full, a stream may have been closed by whoever started us, and a name may have characters that the
terminal's encoding lacks.
"""

from __future__ import annotations

import io
import os
import sys
from typing import Any, TextIO


class _Lossy(io.BufferedIOBase):
    """Writes to `descriptor`, whatever comes of it. `insists_on_reader`: but for a pipe that nobody reads any more.

    It keeps nothing back: what a buffer kept when Ctrl-C broke into its writing would be written again at the end.
    """

    def __init__(self, descriptor: int, insists_on_reader: bool) -> None:
        self._descriptor, self._insists_on_reader = descriptor, insists_on_reader

    @property
    def name(self) -> int:
        return self._descriptor

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        left = memoryview(data)
        try:
            while left:
                left = left[os.write(self._descriptor, left) :]
        except BrokenPipeError:
            if self._insists_on_reader:
                raise
        except OSError:
            pass  # a full disk, a terminal that has gone
        return len(data)


def make_lossy(insists_on_reader: bool = False) -> None:
    """From now on what this process prints may get lost, but does not end it; call it before any file is opened.

    Characters that can't be shown are escaped. `insists_on_reader`: BrokenPipeError is still raised.
    """
    _open_all()
    sys.stdout = _text(1, sys.stdout, insists_on_reader)
    sys.stderr = _text(2, sys.stderr, insists_on_reader)


def _open_all() -> None:
    """Opens what of 0 to 2 is closed, for nothing: the next file opened would get the number, and our prints."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
            os.set_inheritable(descriptor, True)


def _text(descriptor: int, before: TextIO | None, insists_on_reader: bool) -> TextIO:
    if before is not None:
        before.flush()
    encoding = before.encoding if before is not None else "utf-8"
    lossy = _Lossy(descriptor, insists_on_reader)
    return io.TextIOWrapper(lossy, encoding, errors="backslashreplace", line_buffering=True)

"""Lets Jittor 1.3.11 be imported by Pythons that are newer than it."""

from __future__ import annotations

import builtins
import contextlib
import multiprocessing
import sys
from collections.abc import Iterator
from typing import Any


class _SeesModules(dict):
    """Local variables, and modules by their names."""

    def __missing__(self, name: str) -> Any:
        return sys.modules[name]


@contextlib.contextmanager
def older_python() -> Iterator[None]:
    """Has two things be as in Python 3.12 while Jittor is imported.

    Since 3.13 each call of `locals()` gives a new dictionary (PEP 667), and Jittor looks there for a module that an
    `exec` has imported: it is among the modules, too. Since 3.14 processes are no longer forks unless one asks for it,
    and those in which Jittor compiles have to be.
    """
    before, method = builtins.locals, multiprocessing.get_start_method(allow_none=True)
    builtins.locals = lambda: _SeesModules(sys._getframe(1).f_locals)
    multiprocessing.set_start_method("fork", force=True)
    try:
        yield
    finally:
        builtins.locals = before
        multiprocessing.set_start_method(method, force=True)

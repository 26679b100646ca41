"""Jittor, started here and nowhere else: `from ecgan.runtime import jt, nn` starts it on first use.

Jittor compiles itself on first import and each operator when it first runs, looks for oneDNN on the internet, takes
over signals and `sys.exit`, and can end the process in the middle of its own import. `starting.start` deals with all
that; to choose device and threads, call it before anything asks for `jt` or `nn`. Importing this package, or a module
of it, starts nothing but for `probe` (and `grey`, when it is run).
"""

from __future__ import annotations

import sys
from typing import Any

jt: Any
nn: Any

_OF_JITTOR = {"jt": "jittor", "nn": "jittor.nn"}


def __getattr__(name: str) -> Any:
    if name not in _OF_JITTOR:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from ecgan.runtime.starting import start

    start()
    return sys.modules[_OF_JITTOR[name]]

"""The installed commands: `ecgan-NAME` is what `launch/NAME.py` is in a checkout.

A wheel has launch/, jobs/, slurm/ and configs/ below this folder, where their names are in nobody's way; in a checkout
they lie beside it. A command puts the folder that they are in before all others on its path, and on that of every
process that it starts. docs/decisions/one-package.md says why.
"""

from __future__ import annotations

import functools
import importlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

_HERE = Path(__file__).absolute().parent
_FOLDER = _HERE if (_HERE / "launch").is_dir() else _HERE.parent


def __getattr__(name: str) -> Callable[[], NoReturn]:
    """The command of that name. Raises AttributeError if launch/ has none."""
    if not name.startswith("_") and (_FOLDER / "launch" / f"{name}.py").is_file():
        return functools.partial(_run, name)
    raise AttributeError(f"{__name__} has no command {name}", name=name)


def _run(name: str) -> NoReturn:
    folder = str(_FOLDER)
    sys.path.insert(0, folder)
    os.environ["PYTHONPATH"] = os.pathsep.join([folder, *filter(None, [os.environ.get("PYTHONPATH")])])

    from launch import early

    early.begin("__main__")
    from jobs import commands

    commands.note_installed()
    main = importlib.import_module(f"launch.{name}").main
    from launch.command import run

    run(main)

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
from pathlib import Path
from typing import NoReturn

_HERE = Path(__file__).absolute().parent


def _run(name: str) -> NoReturn:
    folder = str(_HERE if (_HERE / "launch").is_dir() else _HERE.parent)
    sys.path.insert(0, folder)
    os.environ["PYTHONPATH"] = os.pathsep.join([folder, *filter(None, [os.environ.get("PYTHONPATH")])])

    from launch import early

    early.begin("__main__")
    from jobs import commands

    commands.note_installed()
    main = importlib.import_module(f"launch.{name}").main
    from launch.command import run

    run(main)


audit = functools.partial(_run, "audit")
cancel = functools.partial(_run, "cancel")
convert = functools.partial(_run, "convert")
demo = functools.partial(_run, "demo")
doctor = functools.partial(_run, "doctor")
gallery = functools.partial(_run, "gallery")
generate = functools.partial(_run, "generate")
pack = functools.partial(_run, "pack")
pick = functools.partial(_run, "pick")
score = functools.partial(_run, "score")
status = functools.partial(_run, "status")
train = functools.partial(_run, "train")

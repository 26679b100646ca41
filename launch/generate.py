"""Turns masks and reference photos into one verified folder of pictures, in shards.

python launch/generate.py --shards 8
"""

from __future__ import annotations

import runpy
from pathlib import Path

try:
    from launch import early  # isort: skip

    early.begin(__name__)
    from jobs.generate.request import check, check_ahead
    from jobs.generate.settings import GenerateSettings
    from jobs.generate.work import examine
    from jobs.run.kind import Kind
    from launch import flow
    from launch.command import run
except ModuleNotFoundError as missing:
    runpy.run_path(str(Path(__file__).with_name("missing.py")))["exit_if_not_installed"](missing)
    raise


def main() -> int:
    about = "Generates a picture for every mask of a test set."
    return flow.run(Kind.GENERATION, GenerateSettings, check, check_ahead, examine, about)


if __name__ == "__main__":
    run(main)

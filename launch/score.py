"""Scores a results folder: style, FID, mask accuracy, aesthetic, and the contest's total of them.

python launch/score.py --results results --input_path data/test --img_path data/train/imgs
"""

from __future__ import annotations

import runpy
from pathlib import Path

try:
    from launch import early  # isort: skip

    early.begin(__name__)
    from jobs.run.kind import Kind
    from jobs.score.request import check, check_ahead
    from jobs.score.settings import ScoreSettings
    from jobs.score.work import examine
    from launch import flow
    from launch.command import run
except ModuleNotFoundError as missing:
    runpy.run_path(str(Path(__file__).with_name("missing.py")))["exit_if_not_installed"](missing)
    raise


def main() -> int:
    about = "Scores a results folder: style, FID, mask accuracy, aesthetic, and the contest's total of them."
    return flow.run(Kind.SCORING, ScoreSettings, check, check_ahead, examine, about)


if __name__ == "__main__":
    run(main)

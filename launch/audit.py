"""Looks through a training set for what training had better leave out, and writes a list of it.

python launch/audit.py --input_path data/train
"""

from __future__ import annotations

import runpy
from pathlib import Path

try:
    from launch import early  # isort: skip

    early.begin(__name__)
    from jobs.audit import EXCLUDE, SUMMARY, AuditSettings, audit, summary, write
    from launch.command import DONE, parse, run
except ModuleNotFoundError as missing:
    runpy.run_path(str(Path(__file__).with_name("missing.py")))["exit_if_not_installed"](missing)
    raise


def main() -> int:
    settings = parse(AuditSettings, "Audits a training set: a report, and a list of pairs to leave out.")
    result = audit(settings)
    folder = write(result, settings)
    print("\n".join(summary(result)))
    print(f"\n{folder / SUMMARY} is this, report.json beside it names every fault; to train without them:")
    print(f"  python launch/train.py --input_path {settings.input_path} --exclude-list {folder / EXCLUDE}")
    return DONE


if __name__ == "__main__":
    run(main)

"""Makes the archive to hand in from a results folder, after verifying it.

python launch/pack.py --results results --output submission.zip
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

try:
    from launch import early  # isort: skip

    early.begin(__name__)
    from jobs.results.pack import PackSettings, pack
    from launch.command import DONE, SOME_FAILED, parse, run
except ModuleNotFoundError as missing:
    runpy.run_path(str(Path(__file__).with_name("missing.py")))["exit_if_not_installed"](missing)
    raise


def main() -> int:
    settings = parse(PackSettings, "Verifies a results folder and packs its pictures into one zip file.")
    archive = pack(settings)
    print(f"{archive.path}: {archive.pictures} pictures, {archive.size / 1e6:.1f} MB, SHA-256 {archive.sha256}")
    for gap in archive.left_out:
        print(f"warning: left out: {gap}", file=sys.stderr)
    return SOME_FAILED if archive.left_out else DONE


if __name__ == "__main__":
    run(main)

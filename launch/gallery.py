"""Makes one page to look at a results folder, or at two side by side; it works from disk, without a server.

python launch/gallery.py --results results
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

try:
    from launch import early  # isort: skip

    early.begin(__name__)
    from jobs.results.gallery.make import GallerySettings, make
    from launch.command import DONE, SOME_FAILED, parse, run
except ModuleNotFoundError as missing:
    runpy.run_path(str(Path(__file__).with_name("missing.py")))["exit_if_not_installed"](missing)
    raise

_SHOWN = 10


def main() -> int:
    made = make(parse(GallerySettings, "Makes one HTML page to look at a results folder, or at two side by side."))
    print(f"{made.path}: {made.rows} pictures, {made.size / 1e6:.1f} MB; open it in a browser")
    for reason in made.missing[:_SHOWN]:
        print(f"missing: {reason}", file=sys.stderr)
    if len(made.missing) > _SHOWN:
        print(f"… and {len(made.missing) - _SHOWN} more", file=sys.stderr)
    return SOME_FAILED if made.missing else DONE


if __name__ == "__main__":
    run(main)

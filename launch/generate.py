"""Turns masks and reference photos into one verified folder of pictures, in shards.

python launch/generate.py --shards 8
"""

from __future__ import annotations

import sys

try:
    from jobs.generate.request import check
    from jobs.generate.settings import GenerateSettings
    from jobs.generate.work import examine
    from launch import flow
    from launch.command import run
except ModuleNotFoundError as missing:
    sys.exit(f"error: {missing}: run `make setup` once, then .venv/bin/python launch/generate.py")


def main() -> int:
    return flow.run(GenerateSettings, check, examine, "Generates a picture for every mask of a test set.")


if __name__ == "__main__":
    run(main)

"""Proposes the best pictures of a scored results folder, unlike each other, as a contact sheet.

python launch/pick.py --results results --count 3
python launch/pick.py --results several --per_mask best
"""

from __future__ import annotations

import runpy
from pathlib import Path

try:
    from launch import early  # isort: skip

    early.begin(__name__)
    from jobs.results.pick import PickSettings, pick, pick_per_mask
    from launch.command import DONE, parse, run
except ModuleNotFoundError as missing:
    runpy.run_path(str(Path(__file__).with_name("missing.py")))["exit_if_not_installed"](missing)
    raise


def main() -> int:
    settings = parse(PickSettings, "Proposes the best pictures of a scored results folder, unlike each other.")
    if settings.per_mask is not None:
        best = pick_per_mask(settings)
        counts = ", ".join(f"{count} of seed {seed}" for seed, count in best.seeds.items())
        print(f"{best.pictures} pictures in {settings.per_mask}, the best of each mask's: {counts}")
        return DONE
    for number, chosen in enumerate(pick(settings), 1):
        print(f"{number}. {chosen.picture} (score {chosen.score:.4f}; reference {chosen.item.reference.name})")
    print(f"{settings.output} shows mask, reference and result of each")
    return DONE


if __name__ == "__main__":
    run(main)

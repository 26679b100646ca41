"""The schedulers that there are: another is a class (`slurm.scheduler`) and its place here."""

from __future__ import annotations

from slurm.scheduler import Scheduler
from slurm.slurm import Slurm

#: By name; `--cluster` reads them, and `auto` asks them in this order.
SCHEDULERS: dict[str, Scheduler] = {each.name: each for each in (Slurm(),)}

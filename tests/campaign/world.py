"""What cases share: a checkpoint, inputs, and what undisturbed runs on them made, with how long they took."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any

from tests.campaign.nodes import Cluster
from tests.campaign.work import Generation, Scoring, Training, Work
from tests.conftest import ROOT, DataFolder, ScoreFolder, TrainFolder

#: Of what is made: enough to be killed in the middle, little enough for hundreds of runs.
PICTURES, SCORED, STEPS = 24, 48, 6
HERE = ("--cluster", "local")
_PATIENCE = 600


@dataclass(frozen=True)
class Undisturbed:
    """`product`: see Work.product. `seconds`: from the command to its end."""

    product: dict[str, Any]
    seconds: float


class World:
    """`folder` gets the shared inputs, and `undisturbed` in it; `cluster` is up if that is to be disturbed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cluster = Cluster()
        self._undisturbed: dict[tuple[type[Work], int], Undisturbed] = {}
        self._lock = Lock()  # cases may overlap
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "undisturbed").mkdir(parents=True)

    def prepare_for_slurm(self) -> None:
        """What cases there need, before several begin at once. Raises UserError if there can be no cluster."""
        self.undisturbed(Generation)
        self.undisturbed(Training, 2)
        self.cluster.up()

    @cached_property
    def checkpoint(self) -> Path:
        folder = self.folder / "checkpoint"
        words = [str(folder), "128x64", "4", "1"]
        subprocess.run([sys.executable, "-m", "ecgan.random_model", *words], cwd=ROOT, check=True)
        return folder

    @cached_property
    def masks(self) -> DataFolder:
        return DataFolder(self.folder / "masks and 'photos'", PICTURES, self.checkpoint)

    @cached_property
    def pairs(self) -> TrainFolder:
        return TrainFolder(self.folder / "pairs", 9)

    @cached_property
    def pictures(self) -> ScoreFolder:
        return ScoreFolder(self.folder / "scored", SCORED)

    def generation(self, output: Path, *options: object) -> Generation:
        return Generation(self.masks, output, options)

    def scoring(self, output: Path, *options: object) -> Scoring:
        return Scoring(self.pictures, output, options)

    def training(self, output: Path, ranks: int, *options: object) -> Training:
        steps = ("--max_steps", STEPS, "--save_every_steps", 2)
        return Training(self.pairs, output, ranks, (*steps, *options))

    def undisturbed(self, kind: type[Work], ranks: int = 1) -> Undisturbed:
        """Of this kind of work, made on this machine when it is first asked for."""
        with self._lock:
            if (kind, ranks) not in self._undisturbed:
                self._undisturbed[kind, ranks] = self._make(kind, ranks)
            return self._undisturbed[kind, ranks]

    def _make(self, kind: type[Work], ranks: int) -> Undisturbed:
        output = self.folder / "undisturbed" / f"{kind.__name__}-{ranks}"
        works: dict[type[Work], Work] = {
            Generation: self.generation(output, *HERE, "--workers", 1),
            Scoring: self.scoring(output, *HERE, "--workers", 1),
            Training: self.training(output, ranks, *HERE, "--ranks", ranks),
        }
        work = works[kind]
        times = []
        for _ in range(2):  # the first compiles what is not compiled yet
            shutil.rmtree(output, ignore_errors=True)
            shutil.rmtree(work.run.path, ignore_errors=True)
            started = time.monotonic()
            run(work.command())
            times.append(time.monotonic() - started)
        return Undisturbed(work.product(), min(times))


def run(command: list[str]) -> None:
    """A command that must succeed. Raises RuntimeError with what it said."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE)
    if done.returncode:
        raise RuntimeError(f"{command[1]} ended with status {done.returncode}:\n{done.stderr}")

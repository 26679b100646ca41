"""Measurements on disk: one file for each part, written when all of it is measured, named by what decided it."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ecgan.files import write_atomically
from jobs.run.folder import RunDir
from jobs.score.plan import Judges, ScorePart


@dataclass(frozen=True)
class Measurements:
    """`rows`: of each picture that could be measured its `name`, its numbers by column and a `note`; of a photo the
    name alone. `failures`: (name, reason).

    `features`: (N, D) float32, D 0 if no network has any; `agreement`: pixels by asked and found class, or empty.
    """

    rows: list[dict[str, Any]]
    failures: list[list[str]]
    features: np.ndarray
    agreement: np.ndarray

    def save(self, run: RunDir, part: ScorePart) -> None:
        text = json.dumps({"records": self.rows, "failures": self.failures})
        buffer = io.BytesIO()
        np.savez(buffer, text=np.frombuffer(text.encode(), np.uint8), features=self.features, agreement=self.agreement)
        write_atomically(_file(run, part), buffer.getvalue())


def load(run: RunDir, part: ScorePart) -> Measurements | None:
    """None if the part has not been measured, or its file is damaged."""
    try:
        with np.load(_file(run, part), allow_pickle=False) as arrays:
            words = json.loads(arrays["text"].tobytes())
            return Measurements(words["records"], words["failures"], arrays["features"], arrays["agreement"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def is_whole(run: RunDir, part: ScorePart, judges: Judges) -> bool:
    """Whether all of it has been measured, by every term that there is now; what failed is tried again, since the
    reason may have gone."""
    measured = load(run, part)
    if measured is None or measured.failures:
        return False
    columns = set(judges.columns) if part.kind == "pictures" else set()
    return all(columns <= row.keys() for row in measured.rows)


def clear_others(run: RunDir, parts: tuple[ScorePart, ...]) -> None:
    """Removes measurements that belong to no part of the plan. Needs the lock."""
    kept = {_file(run, part).name for part in parts}
    for path in run.parts.glob("*.npz"):
        if path.name not in kept:
            path.unlink()


def _file(run: RunDir, part: ScorePart) -> Path:
    return run.parts / f"{part.key}.npz"

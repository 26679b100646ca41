"""Statistics of the training photos' features as files: in the cache folder, and beside a scoring's plan."""

from __future__ import annotations

import dataclasses
import io
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ecgan.files import clear_leftovers, write_atomically
from ecgan.runtime.cache import cache_dir
from ecgan.scoring.frechet import Gaussian
from jobs.score import plan
from jobs.score.plan import Subject


def key_of(decided_by: dict[str, Any], photos: Sequence[Subject]) -> str:
    """Of the statistics of these photos' features, which `decided_by` decides."""
    return plan.key_of([decided_by, [dataclasses.asdict(photo) for photo in photos]])


def in_cache(key: str) -> Path:
    return cache_dir() / "statistics" / f"{key}.npz"


def load(file: Path) -> Gaussian | None:
    """None if they are not there, or damaged."""
    try:
        with np.load(file, allow_pickle=False) as arrays:
            return Gaussian(arrays["mean"], arrays["covariance"], int(arrays["count"]))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def save(file: Path, gaussian: Gaussian) -> None:
    """Raises OSError."""
    buffer = io.BytesIO()
    np.savez(buffer, mean=gaussian.mean, covariance=gaussian.covariance, count=np.int64(gaussian.count))
    file.parent.mkdir(parents=True, exist_ok=True)
    clear_leftovers(file.parent)
    write_atomically(file, buffer.getvalue())

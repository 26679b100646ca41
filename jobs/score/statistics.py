"""Statistics of the training photos' features as files: in the cache folder, and beside a scoring's plan."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np

from ecgan.files import write_atomically
from ecgan.runtime.cache import cache_dir
from ecgan.scoring.frechet import Gaussian


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
    write_atomically(file, buffer.getvalue())

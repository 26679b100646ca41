"""Statistics of the training photos' features, computed once and kept in the cache folder."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np

from ecgan import runtime
from ecgan.files import write_atomically
from ecgan.scoring.frechet import Gaussian


def is_known(key: str) -> bool:
    return _file(key).is_file()


def load(key: str) -> Gaussian | None:
    """None if they are not there, or damaged."""
    try:
        with np.load(_file(key), allow_pickle=False) as arrays:
            return Gaussian(arrays["mean"], arrays["covariance"], int(arrays["count"]))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def save(key: str, gaussian: Gaussian) -> None:
    """Raises OSError."""
    buffer = io.BytesIO()
    np.savez(buffer, mean=gaussian.mean, covariance=gaussian.covariance, count=np.int64(gaussian.count))
    _file(key).parent.mkdir(parents=True, exist_ok=True)
    write_atomically(_file(key), buffer.getvalue())


def _file(key: str) -> Path:
    return runtime.cache_dir() / "statistics" / f"{key}.npz"

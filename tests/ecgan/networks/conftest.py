"""What tests of networks share."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator

import pytest


@pytest.fixture
def use_threads() -> Iterator[Callable[[int], None]]:
    """Of OpenMP, from then on."""
    openmp = ctypes.CDLL("libgomp.so.1")
    before = openmp.omp_get_max_threads()
    yield openmp.omp_set_num_threads
    openmp.omp_set_num_threads(before)

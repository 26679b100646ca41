"""What is said of processes that ended without a word."""

from __future__ import annotations

import signal

import pytest

from slurm.processes import ends


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (int(signal.SIGSEGV), "killed by SIGSEGV"),
        (9, "SIGKILL (out of memory?)"),
        (0, "without a word"),
        (40, "without"),
    ],
)
def test_what_a_signal_says(number: int, words: str) -> None:
    """Also one that has no name, as those between the first and the last real-time signal."""
    assert words in ends.cause(number)

"""Moments and spans."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from jobs.run.clock import age, duration, is_long_ago, moment, now


@pytest.mark.parametrize(
    "seconds, text",
    [(-1, "0 s"), (0.4, "0 s"), (59.6, "1 min"), (200, "3 min 20 s"), (4320, "1 h 12 min"), (180_100, "2 d 2 h")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_moments() -> None:
    here = datetime.now(timezone.utc)
    assert abs(age(now(), here) or 0) < 5
    assert moment("2026-11-26T10:00:00") == moment("2026-11-26T11:00:00+01:00")
    assert moment("soon") is None and moment(None) is None and age("", here) is None


def test_silence() -> None:
    later = datetime.now(timezone.utc) + timedelta(hours=1)
    assert is_long_ago(now(), later) and is_long_ago(None, later) and not is_long_ago(now(), later - timedelta(hours=1))

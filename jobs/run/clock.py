"""Moments as the run's files have them, and spans in words."""

from __future__ import annotations

from datetime import datetime, timezone

#: Seconds without a word after which a run that should be running no longer counts as running.
_SILENCE = 15 * 60


def now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def moment(text: str | None) -> datetime | None:
    """None for what is no moment."""
    try:
        time = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=timezone.utc)


def age(text: str | None, now: datetime) -> float | None:
    """Seconds from the moment `text` to `now`; None for what is no moment."""
    time = moment(text)
    return (now - time).total_seconds() if time else None


def is_long_ago(text: str | None, now: datetime) -> bool:
    """Whether a run whose last word is of the moment `text` has been silent for long."""
    seconds = age(text, now)
    return seconds is None or seconds > _SILENCE


def duration(seconds: float) -> str:
    """In the two largest units: "2 d 3 h", "1 h 12 min", "3 min 20 s"."""
    left = max(0, round(seconds))
    parts = []
    for name, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, left = divmod(left, size)
        parts.append((count, name))
    first = next((index for index, (count, _) in enumerate(parts) if count), len(parts) - 1)
    return " ".join(f"{count} {name}" for count, name in parts[first : first + 2] if count) or "0 s"

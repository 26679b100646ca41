"""What was tried on a root and how it ended: a line for each, and one row for docs/fresh-machines.md."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

#: What is asked on the machine, and how. NumPy is there once something was set up.
VERSIONS = {
    "Debian": "cat /etc/debian_version",
    "Python": "python3 -c 'import platform; print(platform.python_version())'",
    "g++": "g++ -dumpfullversion",
    "make": "make --version | sed -n 's/^GNU Make //p'",
    "NumPy": "ecgan/.venv/bin/python -c 'import numpy; print(numpy.__version__)' 2>&-",
}
_PYTEST = re.compile(r"=+ (.*\d+ (?:passed|failed|error).*) in [\d.]+s.* =+")


@dataclass(frozen=True)
class Outcome:
    """`fault`: what is wrong, or None. `words`: more about what was seen."""

    name: str
    seconds: float
    fault: str | None = None
    words: str = ""

    def __str__(self) -> str:
        told = f"FAILED: {self.fault}" if self.fault is not None else "ok"
        return f"{self.name:<22}{self.seconds:>6.0f} s  {told}{self.words and f', {self.words}'}"

    def cell(self) -> str:
        minutes, seconds = divmod(round(self.seconds), 60)
        told = f"failed: {self.fault}" if self.fault is not None else f"{minutes}:{seconds:02}"
        return f"{told}{self.words and f', {self.words}'}"


def counts(said: str) -> str:
    """What pytest's last line counts; nothing if there is none."""
    lines = _PYTEST.findall(said)
    return lines[-1] if lines else ""


def row(versions: Mapping[str, str], tried: str, outcomes: list[Outcome]) -> str:
    """Of the table in docs/fresh-machines.md. `tried`: commit and day."""
    named = {outcome.name: outcome.cell() for outcome in outcomes}
    messages = [outcome for outcome in outcomes if outcome.name.startswith("without")]
    bad = ", ".join(outcome.name for outcome in messages if outcome.fault is not None)
    told = (f"failed: {bad}" if bad else f"all {len(messages)}") if messages else ""
    cells = [*versions.values(), tried, named.get("make demo", ""), named.get("make test", ""), told]
    return f"| {' | '.join(cells)} |"

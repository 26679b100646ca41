"""The report of a campaign: a JSON file with every case, and how many of each kind held.

One that exists is continued.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import asdict, dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

import ecgan
from ecgan.errors import UserError
from ecgan.files import write_json
from tests.campaign.case import Verdict, Where
from tests.conftest import ROOT

_ONE_AT_A_TIME = Lock()


@dataclass(frozen=True)
class Outcome:
    """Of one case; `words`: what did not hold. `version`: of the code that was tried."""

    number: int
    kind: str
    verdict: Verdict
    kills: list[str]
    inputs: int
    notes: list[str]
    seconds: float
    version: str
    words: str = ""


@dataclass
class Report:
    path: Path
    seed: int
    where: Where
    outcomes: dict[int, Outcome] = field(default_factory=dict)

    @classmethod
    def open(cls, path: Path, seed: int, where: Where) -> Report:
        """Raises UserError if the file is of another campaign."""
        report = cls(path, seed, where)
        if path.exists():
            known = json.loads(path.read_text())
            if (known["seed"], known["where"]) != (seed, where):
                raise UserError(f"--report {path}: of another campaign (seed {known['seed']}, {known['where']})")
            report.outcomes = {case["number"]: Outcome(**case) for case in known["cases"]}
        return report

    def add(self, outcome: Outcome) -> None:
        with _ONE_AT_A_TIME:
            self.outcomes[outcome.number] = outcome
            cases = [asdict(self.outcomes[number]) for number in sorted(self.outcomes)]
            whole = {"seed": self.seed, "where": self.where, "by_kind": self.by_kind(), "cases": cases}
            write_json(self.path, whole)

    @property
    def kills(self) -> int:
        return sum(len(outcome.kills) for outcome in self.outcomes.values())

    def by_kind(self) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        for outcome in self.outcomes.values():
            counts = found.setdefault(
                outcome.kind, {"cases": 0, "held": 0, "fault": 0, "not possible": 0, "kills": 0, "inputs": 0}
            )
            counts["cases"] += 1
            counts[outcome.verdict] += 1
            counts["kills"] += len(outcome.kills)
            counts["inputs"] += outcome.inputs
        return dict(sorted(found.items()))


def version() -> str:
    """Of the code that is tried: the commit, where Git knows it."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    asked = subprocess.run(command, capture_output=True, text=True)
    return asked.stdout.strip() or ecgan.__version__

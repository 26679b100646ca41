"""How far a training is, as each of its states notes it beside the tensors, and which training that is."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ecgan.errors import UserError


@dataclass(frozen=True)
class Best:
    """The best state so far. `score`: more is better, among those that the same judges gave, which `by` names."""

    step: int
    score: float
    by: str


@dataclass(frozen=True)
class Measurement:
    """What was measured after `step` steps, by name, on so many pairs held out."""

    step: int
    pairs: int
    values: dict[str, float]


@dataclass(frozen=True)
class Identity:
    """Which training it is. `settings`: those that decide or steer it; `names`: digest of its pairs' names."""

    settings: dict[str, Any]
    pairs: int
    names: str


@dataclass(frozen=True)
class Standing:
    """`seconds`: of training, over all starts. `measured`: None unless it was after this very step.

    `began`: the settings that the first weights were made by; empty in states of before they were noted.
    """

    step: int
    epoch: int
    seconds: float
    best: Best | None
    measured: Measurement | None
    identity: Identity
    began: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As states have it."""
        measured = self.measured
        return {
            "epoch": self.epoch,
            "seconds": self.seconds,
            "best": dataclasses.asdict(self.best) if self.best else None,
            "plan": dataclasses.asdict(self.identity),
            "measured": measured and measured.values | {"step": measured.step, "pairs": measured.pairs},
            "began": self.began,
            "step": self.step,
        }

    @classmethod
    def of_state(cls, path: Path, noted: Any) -> Standing:
        """Reads what the state at `path` notes. Raises UserError if that is not how a training stands."""
        try:
            best, measured = noted["best"], dict(noted.get("measured") or {})
            identity, began = Identity(**noted["plan"]), dict(noted.get("began", {}))
            return cls(
                step=int(noted["step"]),
                epoch=int(noted["epoch"]),
                seconds=float(noted["seconds"]),
                best=Best(int(best["step"]), float(best["score"]), str(best.get("by"))) if best else None,
                measured=Measurement(measured.pop("step"), measured.pop("pairs"), measured) if measured else None,
                identity=dataclasses.replace(identity, settings=dict(identity.settings)),
                began=began,
            )
        except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError):
            raise UserError(f"{path} is not the state of a training; choose another --run_dir") from None

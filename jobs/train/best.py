"""Which state of a training is the best, and by whose judgement."""

from __future__ import annotations

from collections.abc import Mapping

from ecgan.files import sha256_of
from jobs.train.plan import TrainPlan
from jobs.train.standing import Best


class BestState:
    """Chooses by what is measured on pairs held out; where there are none, by the losses that tell likeness, on average
    over the steps since the last state."""

    def __init__(self, plan: TrainPlan) -> None:
        self._by = _judges(plan)
        self._by_likeness = () if plan.held_out else plan.settings.trainable.likeness
        self._likeness: list[float] = []  # of each step since the last state
        self._best: Best | None = None
        self._on_disk: Best | None = None

    @property
    def best(self) -> Best | None:
        return self._best

    def go_on(self, saved: Best | None) -> None:
        """After a state that noted `saved`, which counts if the same judges chose it."""
        if saved is not None and saved.by == self._by:
            self._best = self._on_disk = saved

    def note(self, losses: Mapping[str, float]) -> None:
        """Takes note of a step's losses."""
        found = [losses[name] for name in self._by_likeness if name in losses]
        if found:
            self._likeness.append(sum(found))

    def measured(self, step: int, score: float) -> None:
        if self._best is None or score > self._best.score:
            self._best = Best(step, score, self._by)

    def saving(self, step: int) -> None:
        """The state after `step` is about to be saved."""
        if self._likeness:
            self.measured(step, -sum(self._likeness) / len(self._likeness))
        self._likeness = []

    def saved(self) -> None:
        self._on_disk = self._best

    def not_saved(self) -> None:
        """The state could not be written, so it is not the best."""
        self._best = self._on_disk


def _judges(plan: TrainPlan) -> str:
    """Only scores that the same judges gave can be compared."""
    if not plan.held_out:
        return "likeness of pictures to photos"
    judges = [f"{path.name} {sha256_of(path)[:12]}" for path in plan.files.judges]
    return ", ".join([f"{len(plan.held_out)} pairs held out", *judges])

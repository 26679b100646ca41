"""An experiment held against the world: what stages that are due need is found and opened, and nothing is written."""

from __future__ import annotations

import contextlib
import dataclasses
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ecgan.errors import UserError
from ecgan.runtime.devices import Device, DeviceChoice
from jobs.experiment import progress
from jobs.experiment.chains import Chain
from jobs.generate import request as generation
from jobs.generate.settings import GenerateSettings
from jobs.options import in_words
from jobs.score.request import check_judges
from jobs.score.settings import ScoreSettings
from jobs.train import request as training
from jobs.train.settings import TrainSettings


@dataclass(frozen=True)
class Elsewhere:
    """Other machines, where stages run. `devices`: by stage, what computes there if it leaves that open; `ranks`: of a
    training."""

    devices: Mapping[str, Device]
    ranks: int

    def device(self, chain: Chain, stage: str) -> Device:
        asked: DeviceChoice = chain.typed(stage).device
        return self.devices[stage] if asked == "auto" else asked


def check(chains: Sequence[Chain], has_data: bool, elsewhere: Elsewhere | None = None) -> list[str]:
    """What is wrong, in lines, each with the variants that it is wrong in.

    `has_data`: False while the landscapes that are to be drawn are not there. `elsewhere`: where stages run, if that is
    not on this machine.
    """
    found: dict[str, list[str]] = {}
    seen: set[tuple[str, str]] = set()
    for chain in chains:
        for stage in progress.due(chain):  # what is done needs its data and weights no more
            look = _CHECKS.get(stage)
            if look is None or (chain.variant, stage) in seen:  # seeds are all that others of a variant differ in
                continue
            seen.add((chain.variant, stage))
            try:
                with contextlib.redirect_stderr(io.StringIO()):  # notes, which the stage will say again
                    look(chain, has_data, elsewhere)
            except UserError as error:
                found.setdefault(f"{stage}: {in_words(error)}", []).append(chain.variant)
    return [f"{', '.join(names)}: {fact}" for fact, names in found.items()]


def _training(chain: Chain, has_data: bool, elsewhere: Elsewhere | None) -> None:
    settings: TrainSettings = chain.typed("train")
    if elsewhere and settings.ranks not in (None, elsewhere.ranks):
        raise UserError(
            f"--ranks {settings.ranks}: there are {elsewhere.ranks} where it runs; leave it out, and say nodes, "
            "gpus_per_node or tasks_per_node in resources.train"
        )
    if has_data:
        # Whether it can go on from what is there is known when it begins.
        there = (elsewhere.device(chain, "train"), elsewhere.ranks) if elsewhere else None
        training.check(dataclasses.replace(settings, dry_run=True, resume=False), there)
    else:
        settings.trainable.find_files(settings)


def _generation(chain: Chain, has_data: bool, elsewhere: Elsewhere | None) -> None:
    settings: GenerateSettings = chain.typed("generate")
    if not has_data:
        return
    if "train" not in chain.settings:
        there = elsewhere.device(chain, "generate") if elsewhere else None
        generation.check(dataclasses.replace(settings, dry_run=True), there)
        return
    run = chain.run("generate")
    assert run is not None
    generation.check_input(settings, chain.typed("train").model, run)


def _scoring(chain: Chain, has_data: bool, elsewhere: Elsewhere | None) -> None:
    settings: ScoreSettings = chain.typed("score")
    check_judges(settings)


_CHECKS: dict[str, Callable[[Chain, bool, Elsewhere | None], Any]] = {
    "train": _training,
    "generate": _generation,
    "score": _scoring,
}

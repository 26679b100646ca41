"""What a training is made of, as a file that every rank reads: plan.json in the run's folder."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ecgan.data.trainset import Pair
from ecgan.files import write_json
from ecgan.runtime.devices import Device
from ecgan.training.sampler import Sampler
from jobs.train.settings import FIXED, STEERING, TrainSettings

_PAIRS = ("pairs", "held_out")


@dataclass(frozen=True)
class TrainPlan:
    """Settings with everything found out that they leave open. Paths are absolute.

    `pairs`: what is trained on, in the order that samples are counted by. `vgg`: file of VGG19's
    weights; `init`: checkpoint to start from. `held_out`: pairs to measure with, which are not among `pairs`.
    `segmenter`, `inception`: networks to measure ECGAN's pictures with, the first at `segmenter_size` (width, height);
    `photos`: the training photos' folder, which the FID compares to.
    """

    settings: TrainSettings
    pairs: tuple[Pair, ...]
    device: Device
    ranks: int
    vgg: str | None = None
    init: str | None = None
    held_out: tuple[Pair, ...] = ()
    segmenter: str | None = None
    segmenter_size: tuple[int, int] | None = None
    inception: str | None = None
    photos: str | None = None

    @property
    def sampler(self) -> Sampler:
        settings = self.settings
        return Sampler(
            len(self.pairs), settings.batch_size, settings.seed, not settings.serial_batches, not settings.no_flip
        )

    @property
    def steps(self) -> int:
        """In all, from the very beginning."""
        steps = self.settings.schedule.epochs * self.sampler.steps_per_epoch
        return min(steps, self.settings.max_steps or steps)

    @property
    def summary(self) -> dict[str, Any]:
        """What a state notes of the training that it belongs to."""
        names = "\n".join(pair.name for pair in self.pairs)
        return {
            "settings": {name: getattr(self.settings, name) for name in (*FIXED, *STEERING)},
            "pairs": len(self.pairs),
            "names": hashlib.sha256(names.encode()).hexdigest(),
        }

    def save(self, path: Path) -> None:
        pairs = {
            name: [[pair.name, str(pair.photo), str(pair.mask)] for pair in getattr(self, name)] for name in _PAIRS
        }
        write_json(path, dataclasses.asdict(self) | pairs)

    @classmethod
    def load(cls, path: Path) -> TrainPlan:
        values = json.loads(path.read_text())
        pairs = {
            kind: tuple(Pair(name, Path(photo), Path(mask)) for name, photo, mask in values.pop(kind))
            for kind in _PAIRS
        }
        seen = values.pop("segmenter_size")
        values["segmenter_size"] = tuple(seen) if seen else None
        return cls(**values | pairs | {"settings": TrainSettings(**values["settings"])})


def changes(saved: dict[str, Any], now: dict[str, Any], names: tuple[str, ...]) -> list[str]:
    """Of the settings `names` those that differ, as "lr 0.0002 -> 0.0001"; what a state of before an option was there
    lacks had its default."""
    defaults = {field.name: field.default for field in dataclasses.fields(TrainSettings)}
    before, after = defaults | saved["settings"], now["settings"]
    return [f"{name} {before[name]} -> {after[name]}" for name in names if before[name] != after[name]]

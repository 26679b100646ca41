"""What a training is made of, as a file that every rank reads: plan.json in the run's folder."""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from ecgan.data.trainset import Pair
from ecgan.errors import UserError
from ecgan.files import fitted, read_any_json, write_json
from ecgan.runtime.devices import Device
from ecgan.training.sampler import Sampler
from jobs.train.files import Files
from jobs.train.settings import TrainSettings

_PAIRS, _PAIR = ("pairs", "held_out"), ("name", "photo", "mask")


#: Files that older plans don't name.
_LATER = {"guide"}


@dataclass(frozen=True)
class TrainPlan:
    """Settings with everything found out that they leave open.

    `pairs`: what is trained on, in the order that samples are counted by; `held_out`: pairs to measure with, which are
    not among them. Paths are absolute.
    """

    settings: TrainSettings
    pairs: tuple[Pair, ...]
    device: Device
    ranks: int
    held_out: tuple[Pair, ...] = ()
    files: Files = field(default_factory=Files)

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
    def share(self) -> int:
        """Pairs of a step that are a rank's."""
        return self.settings.batch_size // self.ranks

    @property
    def at_once(self) -> int:
        """Pairs that go through the networks together."""
        return self.settings.micro_batch or self.share

    @property
    def names_digest(self) -> str:
        """SHA-256 of the names of what is trained on, in their order."""
        return hashlib.sha256("\n".join(pair.name for pair in self.pairs).encode()).hexdigest()

    def save(self, path: Path) -> None:
        values = dataclasses.asdict(self)
        values |= values.pop("files")
        values |= {
            name: [[pair.name, str(pair.photo), str(pair.mask)] for pair in getattr(self, name)] for name in _PAIRS
        }
        write_json(path, values)

    @classmethod
    def load(cls, path: Path) -> TrainPlan:
        """Raises UserError if `path` is no plan of this version."""
        try:
            values = read_any_json(path)
            files = {field.name for field in dataclasses.fields(Files)} - (_LATER - values.keys())
            values["files"] = {name: values.pop(name) for name in files}
            for kind in _PAIRS:
                values[kind] = [dict(zip(_PAIR, pair, strict=True)) for pair in values[kind]]
            settings = values["settings"]
            if settings.get("init_type") == "kaiming":  # plans of before have a gain here, which had no effect
                settings.pop("init_variance", None)
            for said, whole in ((values, cls), (settings, TrainSettings)):
                if said.keys() - {field.name for field in dataclasses.fields(whole)}:
                    raise ValueError("of another version")
            return fitted(values, cls)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            raise UserError(f"{path} is not a plan that this version can read") from None

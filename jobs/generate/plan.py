"""The plan of a generation: which pictures, made how, in which shard. Saved as plan.json and items.jsonl."""

from __future__ import annotations

import dataclasses
import hashlib
import typing
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from ecgan.checkpoint import Checkpoint, ModelOverrides, open_checkpoint
from ecgan.colour import ColourTransfer
from ecgan.config import ADDITIONS, ModelConfig, Spade
from ecgan.data.images import ENCODINGS, Format, Size
from ecgan.errors import UserError
from ecgan.files import read_any_json
from ecgan.runtime.devices import Device
from ecgan.runtime.precision import Precision
from jobs.sharded import items, libraries, numbering

#: Grows when the same settings give other pictures than before.
PICTURES_VERSION = 3


@dataclass(frozen=True)
class Painting:
    """Everything but mask and reference that decides a picture's bytes, and where the checkpoint is.

    `device` and `precision` are never "auto": pictures differ between what that may be.
    """

    checkpoint: str
    checkpoint_hash: str
    which_epoch: str | None
    model: ModelConfig
    device: Device
    spade: Spade
    precision: Precision
    seed: int
    noise: float
    colour_transfer: ColourTransfer
    size: Size
    format: Format
    quality: int

    def fingerprint(self) -> dict[str, Any]:
        """Two runs make the same pictures if their fingerprints are equal."""
        values = dataclasses.asdict(self)
        for name in set(ADDITIONS).difference(self.model.additions):
            del values["model"][name]  # so that pictures of before there were any stay what they are
        del values["checkpoint"], values["which_epoch"]  # the hash says more
        values["size"] = list(self.size)
        values["quality"] = self.quality if ENCODINGS[self.format].has_quality else None
        values["pictures_version"] = PICTURES_VERSION
        values["libraries"] = libraries.versions()
        return values

    def open_checkpoint(self) -> Checkpoint:
        """Raises UserError if the checkpoint is no longer the one that was planned with."""
        overrides = ModelOverrides((self.model.width, self.model.height), self.model.num_upsampling_layers)
        checkpoint = open_checkpoint(Path(self.checkpoint), self.which_epoch, overrides)
        if checkpoint.painting_hash != self.checkpoint_hash:
            raise UserError(f"checkpoint {self.checkpoint} has changed since this run was planned; start it again")
        return checkpoint


@dataclass(frozen=True)
class Task:
    """One picture of the plan. `inputs`: SHA-256 of mask and reference; `shard`: None if it is made already; `seed`: of
    its noise, where it is one of several for its mask."""

    name: str
    mask: str
    reference: str
    inputs: str
    shard: int | None = None
    seed: int | None = None

    @property
    def noise_name(self) -> str:
        """The mask's, by which its noise is drawn."""
        return self.name if self.seed is None else Path(self.mask).stem

    def file(self, format: Format) -> str:
        return f"{self.name}.{format}"


@dataclass(frozen=True)
class GeneratePlan:
    """All pictures, how they are made, and `batch` at a time."""

    painting: Painting
    batch: int
    tasks: tuple[Task, ...]

    @property
    def shards(self) -> int:
        return numbering.count([task.shard for task in self.tasks])

    @property
    def files(self) -> list[str]:
        """Every file that the results folder must hold, the manifest aside."""
        return [task.file(self.painting.format) for task in self.tasks]

    def without(self, names: Collection[str | None]) -> GeneratePlan:
        return dataclasses.replace(self, tasks=tuple(task for task in self.tasks if task.name not in names))

    def in_shards(self, todo: Collection[str], shards: int) -> GeneratePlan:
        """With the tasks named in `todo` numbered in so many shards, or fewer."""
        numbers = numbering.numbered([task.name in todo for task in self.tasks], shards)
        both = zip(self.tasks, numbers, strict=True)
        tasks = (task if task.shard == number else dataclasses.replace(task, shard=number) for task, number in both)
        return dataclasses.replace(self, tasks=tuple(tasks))

    def by_shard(self) -> dict[int, list[Task]]:
        """The tasks of each shard."""
        found: dict[int, list[Task]] = {}
        for task in self.tasks:
            if task.shard is not None:
                found.setdefault(task.shard, []).append(task)
        return found

    def save(self, path: Path) -> None:
        """Its tasks lie in a file of their own beside it."""
        items.save(path, self, "tasks", {"fingerprint": self.painting.fingerprint()})

    @classmethod
    def load(cls, path: Path, shard: int | None = None) -> GeneratePlan:
        """With the tasks of one shard alone, if there is a number. Raises UserError if `path` is no plan of this
        version."""
        return items.load(path, cls, "tasks", Task, shard)


def saved_fingerprint(path: Path) -> dict[str, Any] | None:
    """The fingerprint in the plan of a generation, a version's before as well; None if there is no such file. Raises
    UserError if it holds none."""
    try:
        value = read_any_json(path)["fingerprint"]
        hints = typing.get_type_hints(Painting)
        for name in value.keys() & hints.keys():
            if not (name == "quality" and value[name] is None):  # which counts for some formats only
                msgspec.convert(value[name], hints[name])
        return dict(value)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, UserError):
        raise UserError(f"{path} is damaged") from None


def differences(old: dict[str, Any], new: dict[str, Any]) -> str:
    """In which settings two fingerprints differ, for a message."""
    keys = [key for key in sorted(old.keys() | new.keys()) if old.get(key) != new.get(key)]
    return ", ".join(keys)


def input_digest(mask: bytes, reference: bytes) -> str:
    """SHA-256 of those of mask and reference, so that an exchanged file is noticed."""
    return hashlib.sha256(mask + reference).hexdigest()

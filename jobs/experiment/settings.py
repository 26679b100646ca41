"""What an experiment's file says: a base for each stage, what variants change of it, and with which seeds."""

from __future__ import annotations

import dataclasses
import re
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from ecgan.drawn import SMALLEST
from ecgan.errors import UserError
from jobs.given import insist_on_path
from jobs.options import parse_size
from jobs.yaml_files import read_options

#: Options by name, as a command's --config has them.
Options = dict[str, Any]
#: A variant's name is a folder's, and part of jobs' names.
_NAME = re.compile(r"[A-Za-z0-9][\w.+-]*", re.ASCII)


@dataclass(frozen=True)
class Drawn:
    """Landscapes that the project draws, for an experiment without data of one's own: so many `pairs` to train on and
    `masks` to paint, of WIDTHxHEIGHT `size`."""

    pairs: int
    masks: int
    size: str = "512x384"
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("pairs", "masks"):
            if getattr(self, name) < 1:
                raise UserError(f"drawn.{name} is {getattr(self, name)}; it must be at least 1")
        size = parse_size("drawn.size", self.size)
        if size is not None and min(size) < SMALLEST:
            raise UserError(f"drawn.size is {self.size}; a scene needs at least {SMALLEST} pixels either way")


@dataclass(frozen=True)
class Overrides:
    """What a variant says otherwise, by stage."""

    train: Options = field(default_factory=dict)
    generate: Options = field(default_factory=dict)
    score: Options = field(default_factory=dict)


@dataclass(frozen=True)
class Grid:
    """Of each stage options with several values each: every combination is a variant."""

    train: dict[str, list[Any]] = field(default_factory=dict)
    generate: dict[str, list[Any]] = field(default_factory=dict)
    score: dict[str, list[Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Resources:
    """What jobs of each kind get of a cluster: its options (`cluster_config`, `partition`, `time`, …) by name. `step`:
    of the small ones that go on with a chain."""

    train: Options = field(default_factory=dict)
    generate: Options = field(default_factory=dict)
    score: Options = field(default_factory=dict)
    step: Options = field(default_factory=dict)


@dataclass(frozen=True)
class Experiment:
    """The file. A stage that is not there is not done; without `train`, `generate` names a checkpoint.

    train, generate, score, gallery: options of these commands, as their --config files have them, and `config`: names
    of such files, of which the later ones win.
    variants: by name, what each says otherwise. grid: every combination of values, of each variant.
    seeds: of the trainings, each variant once with each; without a training, of the styles' noise.
    drawn: landscapes to draw, for stages that name no data.
    at_once: chains that go on at the same time; by default one for each GPU here, one on a CPU, on a cluster all.
    resources: on a cluster, what jobs get.
    folder: where all of it lies; by default experiments/NAME, by the file's name.
    """

    train: Options | None = None
    generate: Options | None = None
    score: Options | None = None
    gallery: Options | None = None
    variants: dict[str, Overrides | None] = field(default_factory=dict)
    grid: Grid = field(default_factory=Grid)
    seeds: list[int] = field(default_factory=lambda: [0])
    drawn: Drawn | None = None
    at_once: int | None = None
    resources: Resources = field(default_factory=Resources)
    folder: str | None = None

    def __post_init__(self) -> None:
        if self.train is None and self.generate is None:
            raise UserError("neither train nor generate: there is nothing to do")
        for name in ("score", "gallery"):
            if getattr(self, name) is not None and self.generate is None:
                raise UserError(f"{name} is of pictures, and there is no generate that makes any")
        if odd := [name for name in self.variants if not _NAME.fullmatch(name)]:
            raise UserError(f"variants: {odd[0]!r} is no name for a folder: letters, digits and . _ + - will do")
        for stage, options in dataclasses.asdict(self.grid).items():
            if empty := [name for name, values in options.items() if not values]:
                raise UserError(f"grid: {stage}.{empty[0]} has no values")
        if not self.seeds:
            raise UserError("seeds is empty; leave it out for one, 0")
        if len(set(self.seeds)) != len(self.seeds):
            raise UserError(f"seeds: one stands twice in {self.seeds}")
        try:
            insist_on_path(self.folder, None)
        except UserError as error:
            raise UserError(f"folder: {error.fact}") from None
        if self.at_once is not None and self.at_once < 1:
            raise UserError(f"at_once is {self.at_once}; it must be at least 1")


def read_experiment(path: Path) -> Experiment:
    """Raises UserError that names the file and what is wrong in it."""
    try:
        values = read_options(path, "file", [each.name for each in dataclasses.fields(Experiment)])
        _insist_on_known(values, Experiment, "")
        return msgspec.convert(values, Experiment)
    except msgspec.ValidationError as error:
        raise UserError(f"{path}: {in_words(error)}") from None
    except UserError as error:
        raise UserError(f"{path}: {error.fact}") from None


def in_words(error: msgspec.ValidationError) -> str:
    """ "lr: expected `float`, got `str`"."""
    what, _, where = str(error).replace(" - at `key` in `$", " as a name (quote it) - at `$").partition(" - at `$")
    what = what[:1].lower() + what[1:]
    where = where.rstrip("`").lstrip(".").replace("[...]", "")
    return f"{where}: {what}" if where else what


def _insist_on_known(values: Any, cls: type, where: str) -> None:
    """Raises UserError for keys that no field is called by, at any depth."""
    if not isinstance(values, dict):
        return
    hints = typing.get_type_hints(cls)
    for name, value in values.items():
        if name not in hints:
            raise UserError(f"{where}{name}: no such key; there are {', '.join(hints)}")
        kinds = [kind for kind in _kinds(hints[name]) if dataclasses.is_dataclass(kind)]
        if kinds and typing.get_origin(hints[name]) is dict:
            for key, each in value.items() if isinstance(value, dict) else ():
                _insist_on_known(each, kinds[0], f"{where}{name}.{key}.")
        elif kinds:
            _insist_on_known(value, kinds[0], f"{where}{name}.")


def _kinds(hint: Any) -> list[type]:
    """All types that stand in a hint."""
    inside = typing.get_args(hint)
    return [kind for each in inside for kind in _kinds(each)] if inside else [hint]

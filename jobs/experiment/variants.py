"""The variants of an experiment: those that have names, and every combination of a grid's values."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ecgan.errors import UserError
from jobs.experiment.settings import Experiment, Options, Overrides

#: What a variant is called that says nothing otherwise.
_BASE = "base"
#: Characters of a variant's name, which is part of names of files, of which most file systems take 255.
_LONGEST = 200


@dataclass(frozen=True)
class Variant:
    """`overrides`: by stage, options that differ from the experiment's base."""

    name: str
    overrides: dict[str, Options]

    @property
    def differs(self) -> dict[str, Any]:
        """The same in one mapping, as "train.lr"."""
        return {f"{stage}.{name}": value for stage, each in self.overrides.items() for name, value in each.items()}


def variants_of(experiment: Experiment) -> list[Variant]:
    """In the order of the file. Raises UserError if two would be called the same, or a value is said twice."""
    found: dict[str, Variant] = {}
    named = experiment.variants or {_BASE: Overrides()}
    for name, overrides in named.items():
        for chosen in _combinations(experiment):
            words = [f"{option}={_word(value)}" for (_, option), value in chosen.items()]
            whole = ",".join(words if not experiment.variants and words else [name, *words])
            variant = Variant(whole, _joined(name, overrides or Overrides(), chosen))
            if len(whole) > _LONGEST:
                raise UserError(f"variant {whole[:50]}… has a name of more than {_LONGEST} characters: shorten it")
            if whole in found:
                raise UserError(f"two variants would be called {whole}: give them names of their own")
            found[whole] = variant
    return list(found.values())


def _combinations(experiment: Experiment) -> Iterator[dict[tuple[str, str], Any]]:
    """Of the grid, by stage and option; one without any where there is none."""
    axes = [
        (stage, name, values)
        for stage, each in dataclasses.asdict(experiment.grid).items()
        for name, values in each.items()
    ]
    for values in itertools.product(*(values for _, _, values in axes)):
        yield {(stage, name): value for (stage, name, _), value in zip(axes, values, strict=True)}


def _joined(name: str, overrides: Overrides, chosen: dict[tuple[str, str], Any]) -> dict[str, Options]:
    joined = {stage: dict(options) for stage, options in dataclasses.asdict(overrides).items()}
    for (stage, option), value in chosen.items():
        if option in joined[stage]:
            raise UserError(f"{stage}.{option} stands in the grid and in variant {name}: one of them has no effect")
        joined[stage][option] = value
    return {stage: options for stage, options in joined.items() if options}


def _word(value: Any) -> str:
    """`value` as a part of a folder's name."""
    return re.sub(r"[^\w.+-]+", "-", str(value), flags=re.ASCII).strip("-") or "none"

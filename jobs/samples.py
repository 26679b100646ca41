"""Several pictures for one mask: what each is called, and which seed its noise has.

One picture for a mask is called as the mask. Of several each is NAME.seedS, the first one too: no two can have the same
name, whatever masks are called. The picture of seed S is the one that `--seed S` makes alone, byte by byte.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

from ecgan.data.faults import Fault
from ecgan.data.testset import Item

#: Where a manifest lists the seeds; one of a single picture for each mask does not.
KEY = "seeds"


def sampled(items: Iterable[Item], seeds: Sequence[int]) -> tuple[Item, ...]:
    """Each of `items` once for each seed; as they are if there is one."""
    if len(seeds) < 2:
        return tuple(items)
    return tuple(dataclasses.replace(item, name=_named(item.name, seed)) for item in items for seed in seeds)


def faults_of_samples(faults: Iterable[Fault], seeds: Sequence[int]) -> tuple[Fault, ...]:
    """What is wrong with a mask is so with each of its pictures."""
    if len(seeds) < 2:
        return tuple(faults)
    return tuple(
        dataclasses.replace(fault, name=name)
        for fault in faults
        for name in ([_named(fault.name, seed) for seed in seeds] if fault.name is not None else [None])
    )


def seeds_of(manifest: dict[str, Any] | None) -> tuple[int, ...]:
    """Of the pictures in a results folder; none where each mask has one picture."""
    seeds = (manifest or {}).get(KEY, [])
    return tuple(seeds) if isinstance(seeds, list) and all(isinstance(seed, int) for seed in seeds) else ()


def by_mask(names: Iterable[str], seeds: Sequence[int]) -> dict[str, list[tuple[int, str]]]:
    """Seed and name of each mask's pictures, of those in `names`, in the order of the seeds."""
    found: dict[str, list[tuple[int, str]]] = {}
    there = set(names)
    suffixes = [(seed, _named("", seed)) for seed in seeds]
    for name in sorted(there):
        mask = next((name.removesuffix(suffix) for _, suffix in suffixes if name.endswith(suffix)), None)
        if mask is not None and mask not in found:
            found[mask] = [(seed, mask + suffix) for seed, suffix in suffixes if mask + suffix in there]
    return found


def _named(mask: str, seed: int) -> str:
    return f"{mask}.seed{seed}"

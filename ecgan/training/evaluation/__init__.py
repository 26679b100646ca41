"""How good the networks in training are, measured on pairs that they do not learn from; all ranks share the work."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

from ecgan.config import ModelConfig
from ecgan.data.images import BadImage
from ecgan.data.trainset import Pair
from ecgan.scoring.agreement import Agreement
from ecgan.training.loader import LoadedSample, load_sample
from ecgan.training.sampler import Sample
from ecgan.training.world import World

Found = TypeVar("Found")


class Judgement(NamedTuple):
    """`values` by name; `score`: one number for all of them, of which more is better."""

    values: dict[str, float]
    score: float


#: Measures the networks as they are now; called on all ranks, it gives all of them the same.
Evaluate = Callable[[], Judgement]


def measured(
    pairs: Sequence[Pair], model: ModelConfig, world: World, measure: Callable[[LoadedSample], Found]
) -> list[Found]:
    """What `measure` finds in each of this rank's part of `pairs`, not flipped. Raises BadImage on every rank if one of
    them can't use a file."""
    found, bad = [], None
    try:
        for pair in pairs[world.rank :: world.size]:
            found.append(measure(load_sample(pair, Sample(0, 0, False), model, seed=0)))
    except BadImage as error:
        bad = error
    world.insist_on_good(bad)
    return found


def over_ranks(mine: Agreement, world: World) -> Agreement:
    """The sum of all ranks' agreements."""
    whole = Agreement(len(mine.counts))
    for each in world.gather(mine):
        whole.merge(each)
    return whole


def known(**values: float | None) -> dict[str, float]:
    """Those that are."""
    return {name: value for name, value in values.items() if value is not None}

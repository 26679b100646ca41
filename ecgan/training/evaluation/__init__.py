"""How good the networks in training are, measured on pairs that they do not learn from; all ranks share the work."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from ecgan.config import ModelConfig
from ecgan.data.trainset import Pair
from ecgan.scoring.agreement import Agreement
from ecgan.training.loader import LoadedSample, load_sample
from ecgan.training.sampler import Sample
from ecgan.training.world import World


class Judgement(NamedTuple):
    """`values` by name; `score`: one number for all of them, of which more is better."""

    values: dict[str, float]
    score: float


#: Measures the networks as they are now; called on all ranks, it gives all of them the same.
Evaluate = Callable[[], Judgement]


def share_of(pairs: Sequence[Pair], model: ModelConfig, world: World) -> Iterable[LoadedSample]:
    """This rank's part of `pairs`, not flipped. Raises BadImage."""
    return (load_sample(pair, Sample(0, 0, False), model, seed=0) for pair in pairs[world.rank :: world.size])


def over_ranks(mine: Agreement, world: World) -> Agreement:
    """The sum of all ranks' agreements."""
    whole = Agreement(len(mine.counts))
    for each in world.gather(mine):
        whole.merge(each)
    return whole


def known(**values: float | None) -> dict[str, float]:
    """Those that are."""
    return {name: value for name, value in values.items() if value is not None}

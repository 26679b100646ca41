"""How good pictures of the ECGAN in training are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ecgan.colour import transfer_lab
from ecgan.data.images import read_photo
from ecgan.data.trainset import Pair
from ecgan.scoring import frechet, reading, total
from ecgan.scoring.evaluator import Evaluator, Measured
from ecgan.scoring.frechet import Gaussian, Moments
from ecgan.scoring.reading import Reading
from ecgan.scoring.terms import TERMS, Seen, Term
from ecgan.synthesis import to_uint8
from ecgan.training import samples
from ecgan.training.evaluation import Judgement, known, measured, over_ranks
from ecgan.training.learner import Learner
from ecgan.training.loader import LoadedSample
from ecgan.training.world import World

#: Of each picture of this rank: the number of each term that counts, and what the networks say.
_Found = list[tuple[dict[str, Reading], Measured]]


@dataclass(frozen=True)
class OfPictures:
    """What the contest asks of pictures, the aesthetic aside: each pair's mask painted in its own photo's mean style.

    `photos`: statistics of the training photos' features, for the FID; None without it.
    """

    learner: Learner
    pairs: Sequence[Pair]
    world: World
    evaluator: Evaluator
    photos: Gaussian | None

    def __call__(self) -> Judgement:
        found = measured(self.pairs, self.learner.model, self.world, self._measure)
        over = {"pictures": self._mean, "pixels": self._agreement, "features": self._distance}
        values = known(**{term.name: over[term.over](term, found) for term in self._terms()})
        return Judgement(values, total.of_known(values))

    def _terms(self) -> list[Term]:
        """Those of the total whose network there is."""
        judges = {"inception": self.evaluator.inception, "segmenter": self.evaluator.segmenter}
        return [term for term in TERMS if term.counts and (not term.judge or judges.get(term.judge) is not None)]

    def _mean(self, term: Term, found: _Found) -> float:
        of_ranks = self.world.gather([readings[term.name].value for readings, _ in found])
        return reading.mean(value for values in of_ranks for value in values)

    def _agreement(self, term: Term, found: _Found) -> float | None:
        mine = self.evaluator.no_agreement()
        assert mine is not None
        for _, each in found:
            if each.agreement is not None:
                mine.merge(each.agreement)
        return over_ranks(mine, self.world).accuracy

    def _distance(self, term: Term, found: _Found) -> float | None:
        if self.photos is None:
            return None
        moments = Moments(self.evaluator.dimension)
        of_ranks = self.world.gather([each.features for _, each in found])
        moments.add(np.array([vector for each in of_ranks for vector in each]))
        return frechet.distance(moments.gaussian(), self.photos)

    def _measure(self, sample: LoadedSample) -> tuple[dict[str, Reading], Measured]:
        encoder, generator = self.learner.networks.encoder, self.learner.painter()
        encoder.eval()
        painted = samples.paint_one(generator, encoder, sample.photo, self.learner.segmap(sample), sample.name)
        picture = transfer_lab(to_uint8(painted.image2.numpy()[0]), sample.photo)
        seen = Seen(picture, sample.labels, sample.photo)
        readings = {term.name: term.read(seen)[0] for term in self._terms() if term.over == "pictures" and term.read}
        return readings, self.evaluator.measure(picture, sample.labels)


def statistics_of(photos: Sequence[Path], evaluator: Evaluator, world: World, tick: Callable[[], None]) -> Gaussian:
    """Of the features of all photos. `tick` is called after each photo of this rank. Raises BadImage."""
    mine = Moments(evaluator.dimension)
    for path in photos[world.rank :: world.size]:
        mine.add(evaluator.features(read_photo(path))[None])
        tick()
    moments = Moments(evaluator.dimension)
    for each in world.gather(mine):
        moments.merge(each)
    return moments.gaussian()

"""How good pictures of the ECGAN in training are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ecgan.colour import transfer_lab
from ecgan.data.images import read_photo
from ecgan.data.trainset import Pair
from ecgan.runtime import jt
from ecgan.scoring import frechet, style, total
from ecgan.scoring.evaluator import Evaluator, Measured
from ecgan.scoring.frechet import Gaussian, Moments
from ecgan.scoring.style import Style, Variant
from ecgan.synthesis import to_network, to_uint8
from ecgan.training.evaluation import Judgement, known, measured, over_ranks
from ecgan.training.learner import Learner
from ecgan.training.loader import LoadedSample
from ecgan.training.world import World


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
        of_ranks = self.world.gather(([each for each, _ in found], [each.features for _, each in found]))
        styles = style.mean([one for each, _ in of_ranks for one in each])
        values = {"style": styles[style.DEFAULT]}
        mine = self.evaluator.no_agreement()
        if mine is not None:
            for _, each in found:
                if each.agreement is not None:
                    mine.merge(each.agreement)
            values |= known(mask_accuracy=over_ranks(mine, self.world).accuracy)
        if self.photos is not None:
            moments = Moments(self.evaluator.dimension)
            moments.add(np.array([vector for _, each in of_ranks for vector in each]))
            values["fid"] = frechet.distance(moments.gaussian(), self.photos)
        return Judgement(values, total.of_known(values))

    def _measure(self, sample: LoadedSample) -> tuple[dict[Variant, Style], Measured]:
        encoder, generator = self.learner.networks.encoder, self.learner.painter()
        encoder.eval()
        with jt.no_grad():
            mu, _ = encoder(jt.array(to_network(sample.photo[None])))
            raw = to_uint8(generator(mu, self.learner.segmap(sample)).image2.numpy()[0])
        picture = transfer_lab(raw, sample.photo)
        return style.compare(picture, sample.photo), self.evaluator.measure(picture, sample.labels)


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

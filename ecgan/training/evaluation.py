"""How good the networks in training are, measured on pairs that they do not learn from; all ranks share the work."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ecgan.colour import transfer_lab
from ecgan.data.images import read_photo
from ecgan.data.trainset import Pair
from ecgan.networks import Segmap
from ecgan.runtime import jt
from ecgan.scoring import frechet, style, total
from ecgan.scoring.agreement import Agreement
from ecgan.scoring.evaluator import Evaluator, Measured
from ecgan.scoring.frechet import Gaussian, Moments
from ecgan.segmentation import find_classes
from ecgan.synthesis import to_network, to_uint8
from ecgan.training.learner import Learner
from ecgan.training.loader import LoadedSample, load_sample
from ecgan.training.sampler import Sample
from ecgan.training.segmenter import SegmenterLearner
from ecgan.training.world import World


class Found(NamedTuple):
    """`values` by name; `score`: one number for all of them, of which more is better."""

    values: dict[str, float]
    score: float


@dataclass(frozen=True)
class OfSegmenter:
    """Mask accuracy and mean intersection over union of the classes it finds in the photos."""

    learner: SegmenterLearner
    pairs: Sequence[Pair]
    world: World

    def __call__(self) -> Found:
        model, network = self.learner.model, self.learner.network
        network.eval()
        mine = Agreement(model.label_nc)
        for sample in _samples(self.pairs, self.learner, self.world):
            mine.add(sample.labels, find_classes(network, sample.photo, (model.width, model.height)).labels)
        whole = _sum(mine, self.world)
        return Found(_known(mask_accuracy=whole.accuracy, mean_iou=whole.mean_iou), whole.accuracy or 0.0)


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

    def __call__(self) -> Found:
        measured = [self._measure(sample) for sample in _samples(self.pairs, self.learner, self.world)]
        of_ranks = self.world.gather(([each.style for each in measured], [each.features for each in measured]))
        styles = style.mean([found for each, _ in of_ranks for found in each])
        values = {"style": styles[style.DEFAULT]}
        mine = self.evaluator.no_agreement()
        if mine is not None:
            for each in measured:
                if each.agreement is not None:
                    mine.merge(each.agreement)
            values |= _known(mask_accuracy=_sum(mine, self.world).accuracy)
        if self.photos is not None:
            moments = Moments(self.evaluator.dimension)
            moments.add(np.array([vector for _, each in of_ranks for vector in each]))
            values["fid"] = frechet.distance(moments.gaussian(), self.photos)
        score = total.without_aesthetic(values["style"], values.get("mask_accuracy"), values.get("fid"))
        return Found(values, score)

    def _measure(self, sample: LoadedSample) -> Measured:
        encoder, generator = self.learner.networks.encoder, self.learner.painter()
        encoder.eval()
        with jt.no_grad():
            mu, _ = encoder(jt.array(to_network(sample.photo[None])))
            segmap = Segmap(sample.labels[None], self.learner.model.semantic_nc)
            picture = to_uint8(generator(mu, segmap).image2.numpy()[0])
        return self.evaluator.measure(transfer_lab(picture, sample.photo), sample.labels, sample.photo)


def _sum(mine: Agreement, world: World) -> Agreement:
    """Over all ranks."""
    whole = Agreement(len(mine.counts))
    for each in world.gather(mine):
        whole.merge(each)
    return whole


def _known(**values: float | None) -> dict[str, float]:
    return {name: value for name, value in values.items() if value is not None}


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


def _samples(pairs: Sequence[Pair], learner: Learner | SegmenterLearner, world: World) -> Iterable[LoadedSample]:
    """This rank's share, not flipped. Raises BadImage."""
    return (load_sample(pair, Sample(0, 0, False), learner.model, seed=0) for pair in pairs[world.rank :: world.size])

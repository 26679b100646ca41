"""How good the segmentation network in training is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ecgan.data.trainset import Pair
from ecgan.scoring.agreement import Agreement
from ecgan.segmentation import find_classes
from ecgan.training.evaluation import Judgement, known, measured, over_ranks
from ecgan.training.loader import LoadedSample
from ecgan.training.segmenter import SegmenterLearner
from ecgan.training.world import World


@dataclass(frozen=True)
class OfSegmenter:
    """Mask accuracy and mean intersection over union of the classes it finds in the photos."""

    learner: SegmenterLearner
    pairs: Sequence[Pair]
    world: World

    def __call__(self) -> Judgement:
        model, network = self.learner.model, self.learner.network
        network.eval()
        mine = Agreement(model.label_nc)

        def compare(sample: LoadedSample) -> None:
            mine.add(sample.labels, find_classes(network, sample.photo, (model.width, model.height)).labels)

        measured(self.pairs, model, self.world, compare)
        whole = over_ranks(mine, self.world)
        return Judgement(known(mask_accuracy=whole.accuracy, mean_iou=whole.mean_iou), whole.accuracy or 0.0)

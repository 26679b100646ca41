"""What a training is measured by: which networks judge, and the training photos' statistics they need."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

from ecgan.checkpoint.segmenter import open_segmenter
from ecgan.files import sha256_of
from ecgan.scoring.evaluator import Evaluator
from ecgan.scoring.frechet import Gaussian
from ecgan.training.evaluation import OfPictures, OfSegmenter, statistics_of
from ecgan.training.learner import Learner
from ecgan.training.segmenter import SegmenterLearner
from ecgan.training.world import World
from jobs.score import statistics
from jobs.score.plan import features_by, key_of
from jobs.score.subjects import find_photos
from jobs.train.plan import TrainPlan

#: Photos between two lines of the log.
_SAY_EVERY = 200


def evaluation(
    plan: TrainPlan, learner: Learner | SegmenterLearner, world: World, say: Callable[[str], None]
) -> OfSegmenter | OfPictures:
    """For all ranks together; `say` is rank 0's log. Raises UserError if a network can't be used."""
    if isinstance(learner, SegmenterLearner):
        return OfSegmenter(learner, plan.held_out, world)
    inception = Path(plan.inception) if plan.inception else None
    network = open_segmenter(Path(plan.segmenter)) if plan.segmenter else None
    evaluator = Evaluator.load(inception, network, plan.segmenter_size)
    photos = _statistics(plan, evaluator, world, say) if inception else None
    return OfPictures(learner, plan.held_out, world, evaluator, photos)


def _statistics(plan: TrainPlan, evaluator: Evaluator, world: World, say: Callable[[str], None]) -> Gaussian:
    """From the cache, where launch/score.py finds them too, or computed now by all ranks."""
    assert plan.inception is not None and plan.photos is not None
    photos = find_photos(Path(plan.photos))
    decided_by = features_by("inception", sha256_of(Path(plan.inception)), plan.device)
    key = key_of([decided_by, [dataclasses.asdict(photo) for photo in photos]])
    file = statistics.in_cache(key)
    known = world.from_first(statistics.load(file) if world.is_first else None)
    if known is not None:
        return known
    done = 0

    def tick() -> None:
        nonlocal done
        done += 1
        if world.is_first and done % _SAY_EVERY == 0:
            say(f"statistics of the training photos for the FID: {done * world.size} of {len(photos)}")

    gaussian = statistics_of([Path(photo.path) for photo in photos], evaluator, world, tick)
    if world.is_first:
        try:
            statistics.save(file, gaussian)
        except OSError as error:
            say(f"the photos' statistics can't be kept in {file.parent}: {error.strerror}")
    return gaussian


def judged_by(plan: TrainPlan) -> str:
    """What chooses the best state; only scores of the same judges can be compared."""
    if not plan.held_out:
        return "likeness of pictures to photos"
    judges = [f"{Path(path).name} {sha256_of(Path(path))[:12]}" for path in (plan.segmenter, plan.inception) if path]
    return ", ".join([f"{len(plan.held_out)} pairs held out", *judges])

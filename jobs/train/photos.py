"""Statistics of the training photos' features, which the FID of pictures in training compares to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ecgan.files import sha256_of
from ecgan.scoring.evaluator import Evaluator
from ecgan.scoring.frechet import Gaussian
from ecgan.training.evaluation.pictures import statistics_of
from ecgan.training.world import World
from jobs.score import statistics
from jobs.score.plan import features_by
from jobs.score.subjects import find_photos
from jobs.train.plan import TrainPlan

#: Photos between two lines of the log.
_SAY_EVERY = 200


def statistics_of_photos(plan: TrainPlan, evaluator: Evaluator, world: World, say: Callable[[str], None]) -> Gaussian:
    """From the cache, where launch/score.py finds them too, or computed now by all ranks."""
    files = plan.files
    assert files.inception is not None and files.photos is not None
    photos = find_photos(Path(files.photos))
    decided_by = features_by("inception", sha256_of(Path(files.inception)), plan.device)
    file = statistics.in_cache(statistics.key_of(decided_by, photos))
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

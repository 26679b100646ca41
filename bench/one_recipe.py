"""One training of bench/recipes.py, judged at its moments: python bench/one_recipe.py TASK.json.

It goes on from its newest state, however it ended, and counts processor time of its steps alone: not of starting,
compiling, reading, or of being judged.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ecgan.checkpoint.segmenter import open_segmenter
from ecgan.data.images import encode, read_mask, read_photo, resize_mask, resize_photo
from ecgan.data.trainset import Pair, find_training_set
from ecgan.files import write_atomically, write_json
from ecgan.lines import append_line
from ecgan.runtime import starting
from jobs.train.job import prepare_code
from jobs.train.plan import TrainPlan
from jobs.train.settings import TrainSettings

#: Saved so often, in seconds of processor time, beside the moments.
_SAVED_EVERY = 60.0
#: Held-out masks that are painted for the sheet.
_SHOWN = 6


@dataclass(frozen=True)
class Task:
    """`moments`: seconds of processor time at which it is judged; `steps`: a number of steps at which it is, too, and
    which it reaches at least. Folders hold pairs of photos and masks."""

    folder: str
    settings: dict[str, Any]
    held_out: str
    judge: str
    moments: list[float]
    steps: int


@dataclass(frozen=True)
class Judged:
    """`seconds`: of processor time in the steps so far. `style`, `style_transferred`: before, after colour transfer."""

    step: int
    seconds: float
    mask_accuracy: float
    mean_iou: float
    style: float
    style_transferred: float
    fsd: float


#: In a task's folder, what the judge finds in the held-out photos themselves: mask_accuracy and mean_iou.
PHOTOS = "photos.json"


def main() -> None:
    task = Task(**json.loads(Path(sys.argv[1]).read_text()))
    folder = Path(task.folder)
    settings = TrainSettings(**task.settings, run_dir=str(folder), device="cpu", threads=1)
    pairs = tuple(find_training_set(Path(settings.input_path)).pairs)
    files = settings.trainable.find_files(settings)
    plan = TrainPlan(settings, pairs, "cpu", 1, (), files)
    prepare_code(plan)
    starting.start("cpu")
    _train(task, folder, plan)


def _train(task: Task, folder: Path, plan: TrainPlan) -> None:
    from ecgan.training import state
    from ecgan.training.loader import Loader
    from ecgan.training.loop import steps
    from ecgan.training.world import World

    settings, world, states = plan.settings, World(0, 1, ["here"], None), folder / "states"
    trainee = settings.trainable.build(plan, world)
    found = state.newest(states, print)
    if found is None:
        trainee.initialise(settings.seed, settings.init_type, settings.init_variance)
        step, seconds, judged = 0, 0.0, 0
    else:
        found.load_into(trainee)
        step, seconds, judged = (found.progress[name] for name in ("step", "seconds", "judged"))
    moments = task.moments[judged:]
    judge = _judge(task, settings)
    saved, first = seconds, True
    loader = Loader(plan.pairs, settings.model, plan.sampler, threads=1)
    began = time.process_time()
    # As many steps as it takes: the longest moment ends it.
    for each in steps(trainee, loader, plan.sampler, settings.schedule, world, step, plan.steps):
        taken = time.process_time() - began
        if not first:
            seconds += taken
        else:  # what is only done once in a process is not counted but for what another step takes
            first = False
            seconds += min(taken, seconds / step if step else taken / 2)
        step = each.taken
        due = bool(moments) and seconds >= moments[0]
        while moments and seconds >= moments[0]:
            moments.pop(0)
        if due or step == task.steps:
            found_now = judge(trainee, step, seconds, folder)
            append_line(folder / "judged.jsonl", asdict(found_now))
            print(
                f"step {step}, {seconds:.0f} s: accuracy {found_now.mask_accuracy:.3f}, FSD {found_now.fsd:.2f}",
                flush=True,
            )
        over = not moments and step >= task.steps
        if due or over or step == task.steps or seconds - saved > _SAVED_EVERY:
            progress = {"seconds": seconds, "judged": len(task.moments) - len(moments)}
            state.save(states, trainee, step, progress)
            state.prune(states, 1, ())
            saved = seconds
        if over:
            return
        began = time.process_time()
    raise SystemExit(f"{folder}: all {plan.steps} steps of niter and niter_decay are over before the time is")


def _judge(task: Task, settings: TrainSettings) -> Callable[[Any, int, float, Path], Judged]:
    """What tells how good a learner's pictures of the held-out masks are, each in the style of the next one's photo."""
    from ecgan.colour import transfer_lab
    from ecgan.scoring import frechet, style
    from ecgan.scoring.agreement import Agreement
    from ecgan.scoring.evaluator import Evaluator
    from ecgan.scoring.frechet import Moments
    from ecgan.synthesis import to_uint8
    from ecgan.training import samples

    size, model = settings.picture_size, settings.model
    evaluator = Evaluator.load(None, open_segmenter(Path(task.judge)), None)  # sees all at the size it learned at
    pairs: list[Pair] = list(find_training_set(Path(task.held_out)).pairs)
    masks = [resize_mask(read_mask(pair.mask, model), size) for pair in pairs]
    photos = [resize_photo(read_photo(pair.photo), size) for pair in pairs]
    real, of_photos = Moments(evaluator.dimension), Agreement(model.label_nc)
    for photo, labels in zip(photos, masks, strict=True):
        found = evaluator.measure(photo, labels)
        assert found.agreement is not None and found.features is not None
        real.add(found.features[None])
        of_photos.merge(found.agreement)
    most = {"mask_accuracy": of_photos.accuracy or 0.0, "mean_iou": of_photos.mean_iou or 0.0}
    write_json(Path(task.folder) / PHOTOS, most)

    def judge(learner: Any, step: int, seconds: float, folder: Path) -> Judged:
        from ecgan.networks import Segmap

        encoder, painter = learner.networks.encoder, learner.painter()
        encoder.eval()
        agreement, features = Agreement(model.label_nc), Moments(evaluator.dimension)
        raw_style, moved_style = [], []
        for place, labels in enumerate(masks):
            reference = photos[(place + 1) % len(photos)]
            segmap = Segmap(labels[None], model.semantic_nc, True)
            painted = samples.paint_one(painter, encoder, reference, segmap, pairs[place].name)
            picture = to_uint8(painted.image2.numpy()[0])
            moved = transfer_lab(picture, reference)
            seen = evaluator.measure(picture, labels)
            assert seen.agreement is not None and seen.features is not None
            agreement.merge(seen.agreement)
            features.add(seen.features[None])
            for values, each in ((raw_style, picture), (moved_style, moved)):
                values.append(style.compare(each, reference)[style.DEFAULT].value or 0.0)
            if place < _SHOWN:
                write_atomically(folder / f"shown-{place}.png", encode(moved, "png", 100))
        return Judged(
            step,
            seconds,
            agreement.accuracy or 0.0,
            agreement.mean_iou or 0.0,
            float(np.mean(raw_style)),
            float(np.mean(moved_style)),
            frechet.distance(features.gaussian(), real.gaussian()),
        )

    return judge


if __name__ == "__main__":
    main()

"""A training step: as the specification words it against ours, on all cores and on one; its parts, memory, ranks.

python bench/training.py [--quick] [--masks FOLDER] [--json FILE]
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import plain_step
from measure import ROOT, Times, elapsed_of_process, in_child, masks, options, peak_memory, side_by_side, write

from ecgan.checkpoint.vgg import shapes
from ecgan.config import ModelConfig
from ecgan.data.edges import edge_map
from ecgan.drawn import draw, write_training_set
from ecgan.runtime import starting
from ecgan.training.loader import LoadedSample
from ecgan.training.recipe import Recipe

#: Name -> whether the losses are the plain ones, and the recipe.
FORMS = {
    "plain": (True, Recipe(spade="dense")),
    "dense": (False, Recipe(spade="dense")),
    "ours": (False, Recipe()),
    "ours, fakes reused": (False, Recipe(reuse_fakes=True)),
}


def main() -> None:
    asked = options(__doc__).parse_args()
    model = ModelConfig(256, 192, ngf=16, ndf=16) if asked.quick else ModelConfig()
    repeats = asked.repeats or 3
    device = starting.start()
    figures: dict[str, Any] = {"device": device, "size": f"{model.width}x{model.height}", "ngf": model.ngf}
    print(f"{device}, {figures['size']}, ngf {model.ngf}, batch 1\n")
    figures["step"] = steps(model, asked.masks, repeats)
    figures["step_over_plain"] = figures["step"]["over_plain"]["ours"]
    figures["step_on_one_core"] = in_child(_steps_on_one_core, model, asked.masks)
    figures["parts"] = parts(model, asked.masks, repeats)
    figures["memory"] = {form: in_child(_peak_of_steps, model, asked.masks, form) for form in FORMS}
    peaks = (f"{form} {peak / 2**30:.2f}" for form, peak in figures["memory"].items())
    print("memory at the peak, GiB: " + "; ".join(peaks) + "\n")
    figures["ranks"] = {count: _speed_of_ranks(count) for count in (1, 2)}
    write(figures, asked.json)


def make_learner(model: ModelConfig) -> Any:
    """With VGG19 of random weights: what it sees does not matter here."""
    from ecgan.training.learner import Learner
    from ecgan.training.world import World

    chance = np.random.default_rng(0)
    vgg = {name: chance.standard_normal(shape, np.float32) * 0.03 for name, shape in shapes().items()}
    learner = Learner(model, Recipe(), World(0, 1, ["here"], None), vgg)
    learner.initialise(seed=0)
    return learner


def make_samples(model: ModelConfig, folder: Path | None, count: int) -> list[LoadedSample]:
    size = (model.width, model.height)
    samples = []
    for number, labels in enumerate(masks(folder, size, count)):
        photo = draw(number, size)[0]
        noise = np.random.default_rng(number).standard_normal((2, model.z_dim)).astype(np.float32)
        samples.append(LoadedSample(f"{number}", labels, photo, edge_map(photo), noise))
    return samples


def step(learner: Any, sample: LoadedSample, form: str) -> None:
    plainly, learner.recipe = FORMS[form]
    losses = {name: getattr(plain_step, name) for name in ("generator_losses", "discriminator_losses")}
    with mock.patch.multiple("ecgan.training.learner", **losses) if plainly else mock.MagicMock():
        learner.step([sample], 1e-4)


def steps(model: ModelConfig, folder: Path | None, repeats: int) -> dict[str, Any]:
    """Whole steps, every form with the same weights and samples in turns."""
    learner = make_learner(model)
    samples = make_samples(model, folder, 2)

    def run(form: str) -> Callable[[], None]:
        return lambda: [step(learner, sample, form) for sample in samples] and None

    for form in FORMS:
        run(form)()  # the very first step is computed in another way than all that follow
    times = {
        form: Times(*(seconds / len(samples) for seconds in vars(each).values()))
        for form, each in side_by_side({form: run(form) for form in FORMS}, repeats).items()
    }
    print(f"{'step':<20}{'seconds':<32}over plain")
    over_plain = {form: times["plain"].median / each.median for form, each in times.items()}
    for form, each in times.items():
        print(f"{form:<20}{each!s:<32}{over_plain[form]:.2f}")
    print()
    return {"seconds": times, "over_plain": over_plain}


def _steps_on_one_core(model: ModelConfig, folder: Path | None) -> dict[str, Any]:
    """Process time by one thread, which what else the machine does hardly touches."""
    starting.start("cpu", threads=1)
    learner = make_learner(model)
    (sample,) = make_samples(model, folder, 1)
    runs = {form: partial(step, learner, sample, form) for form in ("plain", "ours")}
    for run in runs.values():
        run()  # the very first step is computed in another way than all that follow
    times = side_by_side(runs, 1, elapsed_of_process)
    over_plain = times["plain"].median / times["ours"].median
    seconds = "; ".join(f"{form} {each.median:.3f} s" for form, each in times.items())
    print(f"process time of a step on one core: {seconds}; ours over plain: {over_plain:.2f}\n", flush=True)
    return {"seconds": times, "over_plain": over_plain}


def parts(model: ModelConfig, folder: Path | None, repeats: int) -> dict[str, dict[str, float]]:
    """Each run to its end before the next begins."""
    from ecgan.runtime import jt
    from ecgan.training import step as lean
    from ecgan.training.batch import Batch

    learner = make_learner(model)
    (sample,) = make_samples(model, folder, 1)
    found: dict[str, dict[str, float]] = {}
    for form in ("plain", "ours"):
        plainly, learner.recipe = FORMS[form]
        losses = plain_step if plainly else lean
        seconds: dict[str, list[float]] = {}

        def timed(name: str, run: Callable[[], Any], seconds: dict[str, list[float]] = seconds) -> Any:
            started = time.perf_counter()
            result = run()
            jt.sync_all()
            seconds.setdefault(name, []).append(time.perf_counter() - started)
            return result

        for network in learner.parts.values():
            network.train()
        for _ in range(repeats + 2):
            batch = timed("batch", lambda: Batch.of([sample], model.semantic_nc, learner.recipe.spade))
            for side, optimiser, of_side in (
                ("G", learner._painters, losses.generator_losses),
                ("D", learner._critic, losses.discriminator_losses),
            ):
                gradients = timed(
                    f"{side} gradients", lambda o=optimiser, f=of_side, b=batch: learner.gradients(o, f, [b])
                )
                timed(f"{side} optimiser", lambda o=optimiser, g=gradients: o.apply(g.values, 1e-4))
        found[form] = {name: Times.of(each[2:]).median for name, each in seconds.items()}
    print(f"{'part':<16}{'plain s':>9}{'ours s':>9}")
    for name in found["plain"]:
        print(f"{name:<16}{found['plain'][name]:>9.3f}{found['ours'][name]:>9.3f}")
    print()
    return found


def _peak_of_steps(model: ModelConfig, folder: Path | None, form: str) -> int:
    starting.start()
    learner = make_learner(model)
    for sample in make_samples(model, folder, 2):
        step(learner, sample, form)
    return peak_memory()


def _speed_of_ranks(ranks: int) -> float:
    """Pictures a second of `launch/train.py` with a batch of 2 over so many ranks, the cores shared out."""
    with tempfile.TemporaryDirectory() as folder:
        write_training_set(Path(folder, "data"), 4, size=(256, 192))
        command = [sys.executable, str(ROOT / "launch/train.py"), "--cluster", "local", "--device", "cpu"]
        command += ["--input_path", f"{folder}/data", "--run_dir", f"{folder}/run", "--size", "256x192"]
        command += ["--ngf", "16", "--ndf", "16", "--lambda_vgg", "0", "--batch_size", "2", "--ranks", str(ranks)]
        command += ["--max_steps", "24", "--print_every_steps", "24", "--display_every_steps", "0"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        last = json.loads(Path(folder, "run/metrics.jsonl").read_text().splitlines()[-1])
    speed = float(last["images_per_second"])
    print(f"{ranks} rank(s), 256x192, ngf 16, batch 2: {speed:.3f} pictures/s")
    return speed


if __name__ == "__main__":
    main()

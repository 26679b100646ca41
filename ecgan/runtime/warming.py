"""Compiles the operators that painting, training or scoring needs, in a process of its own.

Jittor compiles an operator when it first runs. Each function here has `grey` do once what is to be done, in a child
process that may compile on all cores; every later process finds the result in the cache. One process does, others
wait. They raise MachineError naming the log if it fails.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from functools import cache
from pathlib import Path
from typing import Any

from ecgan.config import ModelConfig, Spade
from ecgan.data.images import Size
from ecgan.files import digest_of_all
from ecgan.runtime.cache import log_dir
from ecgan.runtime.compiling import run_compiling
from ecgan.runtime.devices import Device
from ecgan.runtime.precision import Precision
from ecgan.runtime.stamps import once
from ecgan.training.recipe import Recipe, alike


def warm_painting(
    model: ModelConfig,
    device: Device,
    batch: int = 1,
    spade: Spade = "exact-sparse",
    precision: Precision = "float32",
) -> None:
    """For painting `batch` pictures at a time."""
    _warm("painting", {"model": model.to_dict(), "batch": batch, "spade": spade, "precision": precision}, device)


def warm_training(model: ModelConfig, recipe: Recipe, batch: int, device: Device, paints: bool = False) -> None:
    """For training steps on `batch` samples at a time in one process, and if it `paints` for pictures of samples.

    The few operators that only several ranks need are left to their first step.
    """
    warm_trainee("ecgan.training.learner", "training", model, recipe, batch, device, paints)


def warm_segmenter(model: ModelConfig, recipe: Recipe, batch: int, device: Device) -> None:
    """For training the segmentation network, likewise, and for finding classes with it."""
    warm_trainee("ecgan.training.segmenter", "segmentation", model, recipe, batch, device, paints=True)


def warm_trainee(
    module: str, what: str, model: ModelConfig, recipe: Recipe, batch: int, device: Device, paints: bool = False
) -> None:
    """The same for any network that can be trained: `module` has it `untrained` (`ecgan.training.trainee`).

    `what` is told of it. `paints`: what it makes of samples, too.
    """
    # Operators depend on whether there is one sample or more, not on how many.
    asked = {"model": model.to_dict(), "recipe": dataclasses.asdict(alike(recipe)), "batch": min(batch, 2)}
    _warm("training", asked | {"trainee": module, "paints": paints}, device, what)


def warm_scoring(inception: str | None, segmenter: str | None, size: Size | None, device: Device) -> None:
    """For measuring pictures with the networks in these files, `size` being what the segmenter sees."""
    _warm("scoring", {"inception": inception, "segmenter": segmenter, "size": size}, device)


def _warm(work: str, asked: dict[str, Any], device: Device, what: str | None = None) -> None:
    """`work`: of `grey.WORK`, which gets `asked`; `what` is told of it."""
    what = what or work
    key = json.dumps(asked, sort_keys=True)
    command = [sys.executable, "-m", "ecgan.runtime.grey", work, device, key]
    title = f"compiling the operators for {what} (a minute or two, once)"
    log = log_dir() / f"{what}-{device}.log"
    once(f"{what} {key} {_sources()}", device, lambda: run_compiling(command, title, log))


@cache
def _sources() -> str:
    """A digest of the networks, and of what trains them: another version of them may have other operators."""
    package = Path(__file__).parents[1]
    files = (file for folder in ("networks", "training", "scoring") for file in (package / folder).rglob("*.*"))
    return digest_of_all((file for file in files if file.suffix in (".py", ".h")), package)

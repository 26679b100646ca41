"""Generation beside other engines: ours in each form, PyTorch and OpenVINO, in turns and on the CPU.

Each engine has a process of its own, with its own threads and memory; all paint the same masks with the same weights,
and what they paint is held against our dense form.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import rivals
from measure import Times, codes, masks, side_by_side

from ecgan.config import ModelConfig
from ecgan.cores import cores
from ecgan.runtime import starting

#: Key -> the form whose pictures a second are divided by those of the other.
RATIOS = {
    "bfloat16_over_dense": ("exact-sparse bfloat16", "dense"),
    "over_openvino_bfloat16": ("exact-sparse bfloat16", "OpenVINO bfloat16"),
    "over_torch_bfloat16": ("exact-sparse bfloat16", "PyTorch bfloat16"),
    "float32_over_openvino_bfloat16": ("exact-sparse", "OpenVINO bfloat16"),
    "float32_over_torch_bfloat16": ("exact-sparse", "PyTorch bfloat16"),
}
#: How far an image of -1 to 1 may be on average from our dense float32 one.
TOLERANCE = {"float32": 1e-4, "bfloat16": 2e-2}
#: For every engine alike, what `ecgan.runtime.starting` sets for ours: malloc keeps what is freed.
_MALLOC = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "-1"}


@dataclass(frozen=True)
class Work:
    """What every engine paints: masks (H, W) one after the other. `weights`: an .npz of G's tensors by name."""

    model: ModelConfig
    labels: Sequence[np.ndarray]
    weights: Path


def beside(model: ModelConfig, folder: Path | None, forms: Sequence[str], repeats: int) -> dict[str, Any]:
    """RATIOS by wall time on all cores, null where a form is missing, and under "beside" all that was measured.

    `forms`: ours; those of the rivals come by themselves. Raises ArithmeticError if one paints another picture.
    """
    engines = {"ours": list(forms)}
    for form in rivals.FORMS:
        if lacking := rivals.missing(form):
            print(f"{form} is left out: {' and '.join(lacking)} not installed (the extra `bench`)")
        else:
            engines.setdefault(form.split()[0], []).append(form)
    with tempfile.TemporaryDirectory() as scratch:
        work = Work(model, masks(folder, (model.width, model.height), 4), Path(scratch, "weights.npz"))
        np.savez(work.weights, **_weights(model))
        with _processes(engines, work, cores()) as pools:
            wall = _in_turns(pools, "wall", repeats)
            pictures = {form: pool.submit(_picture, form).result() for form, pool in pools.items()}
        with _processes(engines, work, 1) as pools:
            process = _in_turns(pools, "process", max(2, repeats // 2))
    differences = {form: difference(form, picture, pictures["dense"]) for form, picture in pictures.items()}
    _print(wall, process, differences)
    found = {
        "wall_on_all_cores": wall,
        "process_time_on_one": process,
        "differences": differences,
        "ratios_on_one": _ratios(process),
        "versions": rivals.versions(),
    }
    return _ratios(wall) | {"beside": found}


@contextmanager
def _processes(
    engines: Mapping[str, Sequence[str]], work: Work, threads: int
) -> Iterator[dict[str, ProcessPoolExecutor]]:
    """For each form its engine's process."""
    pools: dict[str, ProcessPoolExecutor] = {}
    with ExitStack() as stack:
        for forms in engines.values():
            pool = stack.enter_context(ProcessPoolExecutor(1, get_context("spawn"), _set_up, (work, forms, threads)))
            with _environment(_MALLOC | {"OMP_NUM_THREADS": str(threads)}):
                pool.submit(os.getpid)  # starts the process
            pools |= dict.fromkeys(forms, pool)
        yield pools


def _in_turns(pools: Mapping[str, ProcessPoolExecutor], clock: str, repeats: int) -> dict[str, Times]:
    """Seconds of a picture by `clock`, "wall" or "process"."""
    runs = {form: partial(pool.submit, _seconds, form) for form, pool in pools.items()}
    return side_by_side(runs, repeats, lambda run: run().result()[clock])


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Of processes that start meanwhile."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _weights(model: ModelConfig) -> dict[str, np.ndarray]:
    from generator import make_generator

    from ecgan.random_model import random_arrays

    return random_arrays(make_generator(model), 0)


def _ratios(times: Mapping[str, Times]) -> dict[str, float | None]:
    return {
        key: times[other].median / times[ours].median if {ours, other} <= set(times) else None
        for key, (ours, other) in RATIOS.items()
    }


def _print(wall: Mapping[str, Times], process: Mapping[str, Times], differences: Mapping[str, float]) -> None:
    print(f"{'side by side':<24}{'wall time, all cores':<32}{'process time, one core':<32}difference on average")
    for form, times in wall.items():
        print(f"{form:<24}{times!s:<32}{process[form]!s:<32}{differences[form]:.1e}")
    for key, ratio in _ratios(wall).items():
        if ratio is not None:
            print(f"{key}: {ratio:.2f} on all cores, {_ratios(process)[key]:.2f} on one")
    print()


def difference(form: str, picture: np.ndarray, expected: np.ndarray) -> float:
    """The mean absolute one. Raises ArithmeticError if it is more than rounding."""
    found = float(np.abs(picture - expected).mean())
    if not found <= TOLERANCE["bfloat16" if "bfloat16" in form else "float32"]:
        raise ArithmeticError(f"{form} paints another picture than the dense form: {found:.3g} apart on average")
    return found


# In an engine's process

#: Form -> what paints each of the masks.
_painters: dict[str, list[Callable[[], np.ndarray]]] = {}


def _set_up(work: Work, forms: Sequence[str], threads: int) -> None:
    if forms[0] in rivals.FORMS:
        arrays = dict(np.load(work.weights))
        code = codes(1, work.model.z_dim)
        for form in forms:
            paint = rivals.painter(form, work.model, arrays, threads)
            _painters[form] = [partial(paint, code, labels[None]) for labels in work.labels]
        return
    starting.start("cpu", threads)
    from generator import make_generator, painter, paintings

    from ecgan.networks import load_arrays

    generator = make_generator(work.model)
    load_arrays(generator, dict(np.load(work.weights)), "G")
    for form, painting in paintings(generator, forms).items():
        _painters[form] = [painter(painting, work.model.z_dim, labels[None]) for labels in work.labels]


def _picture(form: str) -> np.ndarray:
    """Of the first mask."""
    return _painters[form][0]()


def _seconds(form: str) -> dict[str, float]:
    """Of a picture by each clock, over all masks."""
    clocks = {"wall": time.perf_counter, "process": time.process_time}
    started = {name: clock() for name, clock in clocks.items()}
    for paint in _painters[form]:
        paint()
    return {name: (clock() - started[name]) / len(_painters[form]) for name, clock in clocks.items()}

"""What the benchmarks share: repeated timings side by side, the machine's peak, tables and JSON."""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Times:
    """Seconds of one run, over several."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Times:
        return cls(statistics.median(seconds), min(seconds), max(seconds))

    def __str__(self) -> str:
        return f"{self.median:9.3f} s  ({self.least:.3f} to {self.most:.3f})"


#: Of the checkout.
ROOT = Path(__file__).resolve().parents[1]


def elapsed(run: Callable[[], object]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def elapsed_of_process(run: Callable[[], object]) -> float:
    """Of all threads of this process together, and of it alone: hardly touched by what else the machine does."""
    started = time.process_time()
    run()
    return time.process_time() - started


def side_by_side(
    runs: Mapping[str, Callable[[], Any]], repeats: int, taken: Callable[[Callable[[], Any]], float] = elapsed
) -> dict[str, Times]:
    """Times of each, in turns, so that what else the machine does meets all alike. Each runs once before.

    `taken`: runs it, and says how many seconds that took.
    """
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for run in runs.values():
        run()
    for _ in range(repeats):
        for name, run in runs.items():
            seconds[name].append(taken(run))
    return {name: Times.of(each) for name, each in seconds.items()}


def matrix_product_peak(repeats: int = 5) -> float:
    """Multiply-adds per second of the fastest of a few large float32 matrix products, by Jittor and by NumPy."""
    from ecgan.runtime import jt

    best = 0.0
    for size in (1024, 2048):
        a = np.random.default_rng(0).standard_normal((size, size)).astype(np.float32)
        ours = jt.array(a)
        ours.sync()
        for product in (lambda a=ours: jt.matmul(a, a).sync(), lambda a=a: a @ a):
            product()
            best = max(best, size**3 / min(elapsed(product) for _ in range(repeats)))
    return best


def in_child(function: Callable[..., Any], *arguments: object) -> Any:
    """What the function returns in a fresh process, whose memory is its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def peak_memory() -> int:
    """Bytes, of this process so far."""
    status = Path("/proc/self/status").read_text()  # unlike getrusage(2) it knows nothing of the parent's memory
    return int(status.split("VmHWM:")[1].split()[0]) << 10


def masks(folder: Path | None, size: tuple[int, int], count: int) -> list[np.ndarray]:
    """`count` masks of `size`: evenly out of a folder of PNGs, or drawn landscapes if there is none."""
    from PIL import Image

    from ecgan.data.images import resize_mask

    if folder is None:
        from ecgan.drawn import compose  # needs OpenCV

        return [compose(seed, size).labels for seed in range(count)]
    files = sorted(folder.glob("*.png"))
    chosen = [files[i * len(files) // count] for i in range(count)]
    return [resize_mask(np.asarray(Image.open(file)), size) for file in chosen]


def codes(count: int, z_dim: int) -> np.ndarray:
    """Style codes (count, z_dim), always the same ones."""
    return np.random.default_rng(0).standard_normal((count, z_dim)).astype(np.float32)


def options(description: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(description or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small networks and few repeats: a few minutes")
    parser.add_argument("--repeats", type=int, help="of each timing")
    parser.add_argument("--masks", type=Path, help="folder of masks; without it landscapes are drawn")
    parser.add_argument("--json", type=Path, help="write the figures to this file, too")
    return parser


def write(figures: dict[str, Any], path: Path | None) -> None:
    if path is not None:
        text = json.dumps(figures, indent=1, default=lambda value: asdict(value))
        path.write_text(text + "\n")

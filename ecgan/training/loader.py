"""Reads the samples of each step ahead of the networks, in threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from ecgan.config import ModelConfig
from ecgan.data.edges import edge_map
from ecgan.data.images import read_mask, read_photo, resize_mask, resize_photo
from ecgan.data.trainset import Pair
from ecgan.noise import generator_for
from ecgan.training.sampler import Sample, Sampler

#: Steps whose samples are read, or being read, while one is computed.
_AHEAD = 2


@dataclass(frozen=True)
class LoadedSample:
    """`labels`: (H, W) uint8; `photo`: (H, W, 3) uint8; `edge`: (H, W) uint8; `noise`: (2, z_dim) float32, for the
    G step and the D step. `key`: seed, epoch and index, which decide whatever is random about it."""

    name: str
    labels: np.ndarray
    photo: np.ndarray
    edge: np.ndarray
    noise: np.ndarray
    key: tuple[int, int, int] = (0, 0, 0)

    def generator(self, purpose: str, part: str) -> np.random.Generator:
        """One of its own for each purpose and part of it."""
        seed, epoch, index = self.key
        return generator_for(seed, purpose, epoch, index, part)

    def noise_map_generators(self, step: str) -> Callable[[str], np.random.Generator]:
        """What gives the one for the noise map of a size, WIDTHxHEIGHT, in a step, "G" or "D"."""
        return lambda size: self.generator("noise map", f"{step}/{size}")


def load_sample(pair: Pair, sample: Sample, model: ModelConfig, seed: int) -> LoadedSample:
    """Raises BadImage naming the file that can't be used."""
    size = (model.width, model.height)
    labels = resize_mask(read_mask(pair.mask, model), size)
    photo = resize_photo(read_photo(pair.photo), size)
    edge = edge_map(photo)
    if sample.flipped:
        labels, photo, edge = labels[:, ::-1], photo[:, ::-1], edge[:, ::-1]
    parts = [generator_for(seed, "noise", sample.epoch, sample.index, part) for part in ("G", "D")]
    noise = np.stack([random.standard_normal(model.z_dim, dtype=np.float32) for random in parts])
    return LoadedSample(pair.name, labels, photo, edge, noise, (seed, sample.epoch, sample.index))


class Loader:
    """This rank's part of every step's batch. `rank` of `world_size` takes an equal, contiguous part."""

    def __init__(
        self,
        pairs: Sequence[Pair],
        model: ModelConfig,
        sampler: Sampler,
        rank: int = 0,
        world_size: int = 1,
        threads: int = 2,
    ) -> None:
        self._pairs, self._model, self._sampler, self._threads = pairs, model, sampler, threads
        share = sampler.batch_size // world_size
        self._mine = slice(rank * share, (rank + 1) * share)

    def names(self, step: int) -> list[str]:
        """Of the whole batch, over all ranks."""
        return [self._pairs[sample.index].name for sample in self._sampler.samples(step)]

    def batches(self, start: int, end: int) -> Iterator[list[LoadedSample]]:
        """For each step from `start` to before `end`. Raises BadImage when it comes to a file that can't be used."""
        waiting: deque[list[Future[LoadedSample]]] = deque()
        pool = ThreadPoolExecutor(self._threads, thread_name_prefix="loader")
        try:
            for step in range(start, end):
                samples = self._sampler.samples(step)[self._mine]
                waiting.append([pool.submit(self._load, sample) for sample in samples])
                if len(waiting) > _AHEAD:
                    yield [future.result() for future in waiting.popleft()]
            while waiting:
                yield [future.result() for future in waiting.popleft()]
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _load(self, sample: Sample) -> LoadedSample:
        return load_sample(self._pairs[sample.index], sample, self._model, self._sampler.seed)

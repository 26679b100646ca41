"""The semantic mask as the networks see it: class ids in, one-hot maps of any resolution out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ecgan.networks import exact_sparse
from ecgan.networks.exact_sparse import Surroundings
from ecgan.networks.neighbourhoods import Neighbourhoods
from ecgan.runtime import jt


class Segmap:
    """A batch of masks, one-hot at whatever resolution a layer asks for.

    `labels`: (N, H, W) integers, each in 0..channels-1. Resizing is nearest as in the original
    (source row = floor(row * H / height)); it is done on the labels, once per resolution, which
    gives the same map as resizing the one-hot planes.

    `exact_sparse`: networks may compute once what depends on a pixel's surroundings alone
    (`ecgan.networks.exact_sparse`), instead of at every pixel. `weights_stay`: what a layer in
    evaluation has computed for these masks is kept for the next time it sees them.
    """

    def __init__(
        self, labels: np.ndarray, channels: int, exact_sparse: bool = False, weights_stay: bool = False
    ) -> None:
        if labels.ndim != 3 or labels.size == 0:
            raise ValueError(f"labels must be (N, H, W) and not empty, not {labels.shape}")
        if labels.min() < 0 or labels.max() >= channels:
            raise ValueError(f"labels run from {labels.min()} to {labels.max()}, the network has {channels} classes")
        self.channels, self.exact_sparse, self.weights_stay = channels, exact_sparse, weights_stay
        self._labels = labels
        self._neighbourhoods: dict[tuple[int, int, bool], list[Neighbourhoods | None]] = {}
        self._surroundings: dict[tuple[int, int, bool], Surroundings | None] = {}
        self._one_hot: dict[tuple[int, int], jt.Var] = {}

    def at(self, height: int, width: int) -> jt.Var:
        """(N, channels, height, width) float32, one plane per class."""
        if (height, width) not in self._one_hot:
            labels = jt.array(self._resized(height, width).astype(np.int32))
            classes = jt.arange(self.channels).int32().reshape((1, self.channels, 1, 1))
            self._one_hot[height, width] = (labels.unsqueeze(1) == classes).float32().stop_grad()
        return self._one_hot[height, width]

    def surroundings(self, height: int, width: int, *, apart: bool) -> Surroundings | None:
        """The distinct surroundings in the masks; None where there are too many to be worth it.

        `apart`: of each mask by itself, so that no picture depends on the others of its batch.
        """
        if (key := (height, width, apart)) not in self._surroundings:
            parts = [part for part in self._find(height, width, apart) if part is not None]
            whole = len(parts) == len(self._find(height, width, apart))
            self._surroundings[key] = Surroundings(parts, self.channels, self.weights_stay) if whole else None
        return self._surroundings[key]

    def is_alike(self, sizes: Sequence[tuple[int, int]]) -> bool:
        """Whether at each (height, width) it is worth it for all masks or for none."""
        return all(len({part is None for part in self._find(*size, apart=True)}) == 1 for size in sizes)

    def split(self) -> list[Segmap]:
        """One of each mask."""
        return [
            Segmap(self._labels[i : i + 1], self.channels, self.exact_sparse, self.weights_stay)
            for i in range(len(self._labels))
        ]

    def _find(self, height: int, width: int, apart: bool) -> list[Neighbourhoods | None]:
        if (key := (height, width, apart)) not in self._neighbourhoods:
            resized = self._resized(height, width)
            parts = [one[None] for one in resized] if apart else [resized]
            self._neighbourhoods[key] = [exact_sparse.find(part) for part in parts]
        return self._neighbourhoods[key]

    def _resized(self, height: int, width: int) -> np.ndarray:
        _, full_height, full_width = self._labels.shape
        rows = np.arange(height) * full_height // height
        columns = np.arange(width) * full_width // width
        return self._labels[:, rows][:, :, columns]

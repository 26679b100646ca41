"""The semantic mask as the networks see it: class ids in, one-hot maps of any resolution out."""

from __future__ import annotations

import numpy as np

from ecgan.networks import exact_sparse
from ecgan.networks.exact_sparse import Surroundings
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
        self._surroundings: dict[tuple[int, int], Surroundings | None] = {}
        self._one_hot: dict[tuple[int, int], jt.Var] = {}

    def at(self, height: int, width: int) -> jt.Var:
        """(N, channels, height, width) float32, one plane per class."""
        if (height, width) not in self._one_hot:
            labels = jt.array(self._resized(height, width).astype(np.int32))
            classes = jt.arange(self.channels).int32().reshape((1, self.channels, 1, 1))
            self._one_hot[height, width] = (labels.unsqueeze(1) == classes).float32().stop_grad()
        return self._one_hot[height, width]

    def surroundings(self, height: int, width: int) -> Surroundings | None:
        """The distinct surroundings in all masks together; None where there are too many to be worth it."""
        if (size := (height, width)) not in self._surroundings:
            found = exact_sparse.find(self._resized(height, width))
            kept = None if found is None else Surroundings(found, self.channels, self.weights_stay)
            self._surroundings[size] = kept
        return self._surroundings[size]

    def _resized(self, height: int, width: int) -> np.ndarray:
        return resize_labels(self._labels, height, width)


def resize_labels(labels: np.ndarray, height: int, width: int) -> np.ndarray:
    """Nearest, as in the original: source row = floor(row * H / height). (N, H, W) -> (N, height, width)."""
    _, full_height, full_width = labels.shape
    rows = np.arange(height) * full_height // height
    columns = np.arange(width) * full_width // width
    return labels[:, rows][:, :, columns]

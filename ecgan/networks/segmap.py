"""The semantic mask as the networks see it: class ids in, one-hot maps of any resolution out."""

from __future__ import annotations

import numpy as np

from ecgan.runtime import jt


class Segmap:
    """A batch of masks, one-hot at whatever resolution a layer asks for.

    `labels`: (N, H, W) integers, each in 0..channels-1. Resizing is nearest as in the original
    (source row = floor(row * H / height)); it is done on the labels, once per resolution, which
    gives the same map as resizing the one-hot planes.
    """

    def __init__(self, labels: np.ndarray, channels: int) -> None:
        if labels.ndim != 3 or labels.size == 0:
            raise ValueError(f"labels must be (N, H, W) and not empty, not {labels.shape}")
        if labels.min() < 0 or labels.max() >= channels:
            raise ValueError(f"labels run from {labels.min()} to {labels.max()}, the network has {channels} classes")
        self.channels = channels
        self._labels = labels
        self._one_hot: dict[tuple[int, int], jt.Var] = {}

    def at(self, height: int, width: int) -> jt.Var:
        """(N, channels, height, width) float32, one plane per class."""
        if (height, width) not in self._one_hot:
            _, full_height, full_width = self._labels.shape
            rows = np.arange(height) * full_height // height
            columns = np.arange(width) * full_width // width
            labels = jt.array(self._labels[:, rows][:, :, columns].astype(np.int32))
            classes = jt.arange(self.channels).int32().reshape((1, self.channels, 1, 1))
            self._one_hot[height, width] = (labels.unsqueeze(1) == classes).float32()
        return self._one_hot[height, width]

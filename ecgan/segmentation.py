"""Photos in, the class of every pixel out: a segmentation network, loaded once, used many times."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ecgan.checkpoint.segmenter import SegmenterFile, fitting
from ecgan.data.images import Size, resize_photo
from ecgan.networks import load_arrays
from ecgan.networks.segformer import Segformer, enlarge
from ecgan.runtime import jt
from ecgan.synthesis import to_network


class Segmented(NamedTuple):
    """`labels`: (H, W) uint8; `features`: (C,) float32, the mean over the network's deepest map."""

    labels: np.ndarray
    features: np.ndarray


class Segmenter:
    """`classes` it tells apart; `features` that it describes a photo by."""

    def __init__(self, file: SegmenterFile, size: Size | None = None) -> None:
        """`size`: (width, height) at which it sees every photo; by default the one it was trained at, if that is
        known, else each photo's own, or nearly."""
        self.classes, self.features, self._size = file.shape.classes, file.shape.widths[-1], size or file.size
        self._network = load_network(file)
        self._network.eval()

    def __call__(self, photo: np.ndarray) -> Segmented:
        """Of (H, W, 3) uint8 RGB."""
        height, width = photo.shape[:2]
        return find_classes(self._network, photo, self._size or fitting((width, height)))


def load_network(file: SegmenterFile) -> Segformer:
    """With the weights that are in the file."""
    network = Segformer(file.shape)
    load_arrays(network, file.arrays(), f"segmentation network {file.path}")
    return network


def find_classes(network: Segformer, photo: np.ndarray, size: Size) -> Segmented:
    """At the photo's size, of what the network sees at `size` (width, height)."""
    height, width = photo.shape[:2]
    with jt.no_grad():
        seen = network(jt.array(to_network(resize_photo(photo, size)[None])))
        features = seen.maps[-1].mean((2, 3)).numpy()[0]
        logits = enlarge(seen.logits, height, width).numpy()[0]
    return Segmented(logits.argmax(0).astype(np.uint8), features)

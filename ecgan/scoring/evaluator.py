"""What networks say of one picture, with whatever networks there are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ecgan.checkpoint.inception import read_inception
from ecgan.checkpoint.segmenter import SegmenterFile
from ecgan.data.images import Size
from ecgan.runtime import jt
from ecgan.scoring.agreement import Agreement
from ecgan.scoring.inception import FEATURES, Inception
from ecgan.segmentation import Segmenter


class Measured(NamedTuple):
    """`agreement` of this picture alone, None without a segmentation network; `features`: (D,) float32 of the picture
    for a Fréchet distance, None without a network that has any."""

    agreement: Agreement | None
    features: np.ndarray | None


@dataclass
class Evaluator:
    """Measures picture by picture.

    Features are Inception's where its weights are given, else the segmentation network's.
    """

    inception: Inception | None
    segmenter: Segmenter | None

    @classmethod
    def load(cls, inception: Path | None, segmenter: SegmenterFile | None, size: Size | None) -> Evaluator:
        """`size`: (width, height) at which the segmentation network sees photos. Raises UserError if a file can't be
        used."""
        return cls(
            Inception(read_inception(inception)) if inception else None,
            Segmenter(segmenter, size) if segmenter else None,
        )

    def no_agreement(self) -> Agreement | None:
        """To add each picture's to; None without a segmentation network."""
        return Agreement(self.segmenter.classes) if self.segmenter else None

    @property
    def dimension(self) -> int:
        """Of the features; 0 if there are none."""
        return FEATURES if self.inception else self.segmenter.features if self.segmenter else 0

    def measure(self, picture: np.ndarray, labels: np.ndarray) -> Measured:
        """`picture`: (H, W, 3) uint8 RGB, of any size; `labels`: the mask at that size."""
        segmented = self.segmenter(picture) if self.segmenter else None
        agreement = self.no_agreement()
        if segmented and agreement:
            agreement.add(labels, segmented.labels)
        features = self._inception(picture) if self.inception else segmented.features if segmented else None
        return Measured(agreement, features)

    def features(self, photo: np.ndarray) -> np.ndarray:
        """Of (H, W, 3) uint8 RGB, for the distance alone. There must be a network that has any."""
        if self.inception:
            return self._inception(photo)
        assert self.segmenter is not None, "no network was given"
        return self.segmenter(photo).features

    def _inception(self, picture: np.ndarray) -> np.ndarray:
        assert self.inception is not None
        with jt.no_grad():
            return self.inception(jt.array(picture[None].transpose(0, 3, 1, 2).astype(np.float32) / 255)).numpy()[0]

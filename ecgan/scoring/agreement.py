"""How well labels that a segmentation network found agree with the masks that were asked for."""

from __future__ import annotations

import math

import numpy as np


class Agreement:
    """Counts of pixels by asked and found class, over pictures that come in parts."""

    def __init__(self, classes: int) -> None:
        self.counts = np.zeros((classes, classes), np.int64)  # row: asked for, column: found

    def add(self, asked: np.ndarray, found: np.ndarray) -> float:
        """Two maps of class ids of one shape; where no class is asked for (an id beyond them) does not count.

        Returns the share of this picture's pixels that agree, NaN if none counts.
        """
        if asked.shape != found.shape:
            raise ValueError(f"masks of {asked.shape} and {found.shape} can't be compared")
        classes = len(self.counts)
        counted = asked < classes
        pairs = asked[counted].astype(np.int64) * classes + found[counted].astype(np.int64)
        counts = np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)
        self.counts += counts
        return float(np.trace(counts) / counts.sum()) if counts.any() else math.nan

    def merge(self, other: Agreement) -> None:
        self.counts += other.counts

    @property
    def accuracy(self) -> float:
        """Share of all pixels that agree: the contest's mask accuracy."""
        return float(np.trace(self.counts) / self.counts.sum())

    def by_class(self) -> list[float | None]:
        """Share of the pixels asked for that were found, by class; None where none was asked for."""
        return _shares(np.diag(self.counts), self.counts.sum(axis=1))

    def iou_by_class(self) -> list[float | None]:
        """Intersection over union by class; None for a class that is nowhere."""
        right = np.diag(self.counts)
        return _shares(right, self.counts.sum(axis=0) + self.counts.sum(axis=1) - right)

    @property
    def mean_iou(self) -> float:
        """Over the classes that are there."""
        return float(np.mean([share for share in self.iou_by_class() if share is not None]))


def _shares(parts: np.ndarray, wholes: np.ndarray) -> list[float | None]:
    return [float(part / whole) if whole else None for part, whole in zip(parts, wholes, strict=True)]

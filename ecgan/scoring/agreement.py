"""How well labels that a segmentation network found agree with the masks that were asked for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


class Agreement:
    """Counts of pixels by asked and found class, over pictures that come in parts."""

    def __init__(self, classes: int) -> None:
        self.counts = np.zeros((classes, classes), np.int64)  # row: asked for, column: found

    def add(self, asked: np.ndarray, found: np.ndarray) -> None:
        """Two maps of class ids of one shape; where no class is asked for (an id beyond them) does not count."""
        if asked.shape != found.shape:
            raise ValueError(f"masks of {asked.shape} and {found.shape} can't be compared")
        classes = len(self.counts)
        counted = asked < classes
        pairs = asked[counted].astype(np.int64) * classes + found[counted].astype(np.int64)
        self.counts += np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)

    def merge(self, other: Agreement) -> None:
        self.counts += other.counts

    @property
    def accuracy(self) -> float | None:
        """Share of all pixels that agree: the contest's mask accuracy. None if no pixel counts."""
        return _shares([np.trace(self.counts)], [self.counts.sum()])[0]

    def by_class(self) -> list[float | None]:
        """Share of the pixels asked for that were found, by class; None where none was asked for."""
        return _shares(np.diag(self.counts), self.counts.sum(axis=1))

    def iou_by_class(self) -> list[float | None]:
        """Intersection over union by class; None for a class that is nowhere."""
        right = np.diag(self.counts)
        return _shares(right, self.counts.sum(axis=0) + self.counts.sum(axis=1) - right)

    @property
    def mean_iou(self) -> float | None:
        """Over the classes that are there; None if there are none."""
        shares = [share for share in self.iou_by_class() if share is not None]
        return float(np.mean(shares)) if shares else None


def _shares(parts: Sequence[int] | np.ndarray, wholes: Sequence[int] | np.ndarray) -> list[float | None]:
    return [float(part / whole) if whole else None for part, whole in zip(parts, wholes, strict=True)]

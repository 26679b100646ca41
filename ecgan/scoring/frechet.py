"""Fréchet distance between two sets of feature vectors, each taken for a Gaussian (Heusel et al. 2017)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Gaussian:
    """`mean`: (D,); `covariance`: (D, D), unbiased; both float64; of `count` vectors."""

    mean: np.ndarray
    covariance: np.ndarray
    count: int


class Moments:
    """Sums over feature vectors that come in parts, in whatever order and on however many workers."""

    def __init__(self, features: int) -> None:
        self.count = 0
        self.total = np.zeros(features)
        self.products = np.zeros((features, features))

    def add(self, vectors: np.ndarray) -> None:
        """`vectors`: (N, D). Raises ValueError if one is not finite."""
        vectors = np.asarray(vectors, np.float64)
        if not np.isfinite(vectors).all():
            raise ValueError(f"{(~np.isfinite(vectors).all(axis=1)).sum()} feature vector(s) are not finite")
        self.count += len(vectors)
        self.total += vectors.sum(axis=0)
        self.products += vectors.T @ vectors

    def merge(self, other: Moments) -> None:
        self.count += other.count
        self.total += other.total
        self.products += other.products

    def gaussian(self) -> Gaussian:
        """Raises ValueError of fewer than two vectors."""
        if self.count < 2:
            raise ValueError(f"a covariance needs two vectors at least, not {self.count}")
        mean = self.total / self.count
        covariance = (self.products - self.count * np.outer(mean, mean)) / (self.count - 1)
        return Gaussian(mean, covariance, self.count)


def distance(a: Gaussian, b: Gaussian) -> float:
    """|mean_a - mean_b|^2 + tr(A + B - 2 (A B)^(1/2)), at least 0.

    The trace of the root of A B is the sum of the roots of its eigenvalues, which are those of the
    symmetric A^(1/2) B A^(1/2): no matrix root of an unsymmetric product, and no trouble with singular ones.
    """
    if a.mean.shape != b.mean.shape:
        raise ValueError(f"features of {a.mean.shape} and {b.mean.shape} can't be compared")
    values, vectors = np.linalg.eigh(a.covariance)
    root = (vectors * np.sqrt(values.clip(min=0.0))) @ vectors.T
    shared = np.linalg.eigvalsh(root @ b.covariance @ root)
    apart = a.mean - b.mean
    traces = np.trace(a.covariance) + np.trace(b.covariance)
    return max(0.0, float(apart @ apart + traces - 2 * np.sqrt(shared.clip(min=0.0)).sum()))

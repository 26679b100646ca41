"""How many epochs there are, and how fast each learns."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Schedule:
    """Epochs count from 1. `lr` is constant for `niter` epochs and falls to 0 over `niter_decay`."""

    lr: float = 2e-4
    niter: int = 50
    niter_decay: int = 150

    @property
    def epochs(self) -> int:
        return self.niter + self.niter_decay

    def rate(self, epoch: int) -> float:
        """Base learning rate of an epoch: lr * (1 - max(0, epoch - 1 - niter) / niter_decay)."""
        if epoch <= self.niter + 1:
            return self.lr
        return self.lr * (1 - (epoch - 1 - self.niter) / self.niter_decay)

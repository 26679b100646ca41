"""How to learn, as plain numbers: loss weights, Adam, moving average. Needs no Jittor."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from ecgan.config import Spade

GanMode = Literal["hinge", "ls", "original", "w"]
InitType = Literal["xavier", "normal", "kaiming", "orthogonal"]


@dataclass(frozen=True)
class LossWeights:
    """How much each term counts; `image`, `edge` and `image2` scale whatever judges that picture.

    A term of weight 0 is not computed. `lambda_l1` weighs the plain L1 distance to the photo, which
    the original does not have.
    """

    gan_mode: GanMode = "hinge"
    lambda_feat: float = 10.0
    lambda_kld: float = 0.05
    lambda_vgg: float = 10.0
    lambda_l1: float = 0.0
    image: float = 1.0
    edge: float = 1.0
    image2: float = 2.0


@dataclass(frozen=True)
class AdamSettings:
    """With two time scales G and E learn at half of the base rate and D at twice of it."""

    beta1: float = 0.0
    beta2: float = 0.9
    two_time_scales: bool = True

    def rates(self, base: float) -> tuple[float, float]:
        """Of G and E, and of D."""
        return (base / 2, base * 2) if self.two_time_scales else (base, base)


@dataclass(frozen=True)
class Recipe:
    """`micro_batch`: samples that go through the networks at once on each rank (None: all of its share).

    `ema_decay` 0: no moving average of G. `spade`: how scale and shift are computed. `reuse_fakes`: D learns
    from the pictures that G has just learned from, where the original paints new ones with the new G.
    """

    weights: LossWeights = field(default_factory=LossWeights)
    adam: AdamSettings = field(default_factory=AdamSettings)
    d_steps_per_g: int = 1
    ema_decay: float = 0.0
    micro_batch: int | None = None
    spade: Spade = "exact-sparse"
    reuse_fakes: bool = False

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Recipe:
        """Of `dataclasses.asdict`, as JSON gives it back."""
        parts = {"weights": LossWeights(**values["weights"]), "adam": AdamSettings(**values["adam"])}
        return cls(**values | parts)

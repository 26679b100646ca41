"""How to learn, as plain numbers: loss weights, Adam, moving average. Needs no Jittor.

Beside each stands whether it decides which operators are computed, so that they can be compiled before ranks start.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any, Literal, TypeVar

from ecgan.config import Spade

GanMode = Literal["hinge", "ls", "original", "w"]
InitType = Literal["xavier", "normal", "kaiming", "orthogonal"]
Augmentation = Literal["colour", "translation", "cutout"]
#: What judges pictures: the original's critics of patches, a network that finds the classes of pixels, or both.
DiscriminatorKind = Literal["patch", "segmentation", "both"]
Numbers = TypeVar("Numbers", "LossWeights", "Recipe")
#: What a value can be exchanged for, and the operators stay the same; None: for any other.
Mark = Callable[[Any], Any] | None


def _field(default: Any, mark: Mark) -> Any:
    return field(default=default, metadata={"mark": mark})


def _decides(value: Any) -> Any:
    """It decides by itself."""
    return value


def _decides_if_any(value: float, any_other: float = 1.0) -> float:
    """Only whether it is 0 does."""
    return any_other if value else 0.0


def alike(numbers: Numbers) -> Numbers:
    """One for all that need the same operators: these depend on what is computed, not on its numbers."""
    marks: dict[str, Mark] = {each.name: each.metadata["mark"] for each in fields(numbers)}
    return type(numbers)(**{name: mark(getattr(numbers, name)) for name, mark in marks.items() if mark is not None})


@dataclass(frozen=True)
class LossWeights:
    """How much each term counts; `image`, `edge` and `image2` scale whatever judges that picture.

    A term of weight 0 is not computed. `lambda_l1` weighs the plain L1 distance to the photo, which
    the original does not have; nor has it what a frozen segmentation network sees (`lambda_guide`, `lambda_guide_feat`,
    `ecgan.training.guidance`), the colours' statistics (`lambda_tone`, `ecgan.training.colours`) or those of detail
    (`lambda_texture`, `ecgan.training.texture`).

    D alone has the next four (`ecgan.training.regularise`): LeCam's weight; that of R1, and the standard deviation of
    its noise, pictures being in [-1, 1]. R1 counts in every `r1_every`-th of D's steps, so many times as much there.
    Then comes LabelMix's (`ecgan.training.segmentation_adversarial`), and with `lambda_contrast` the weight of the
    contrast between classes in G's features, whose similarities are divided by `contrast_temperature`
    (`ecgan.training.contrast`).
    """

    gan_mode: GanMode = _field("hinge", _decides)
    lambda_feat: float = _field(10.0, _decides_if_any)
    lambda_kld: float = _field(0.05, _decides_if_any)
    lambda_vgg: float = _field(10.0, _decides_if_any)
    lambda_l1: float = _field(0.0, _decides_if_any)
    image: float = _field(1.0, _decides_if_any)
    edge: float = _field(1.0, _decides_if_any)
    image2: float = _field(2.0, _decides_if_any)
    lambda_guide: float = _field(0.0, _decides_if_any)
    lambda_guide_feat: float = _field(0.0, _decides_if_any)
    lambda_tone: float = _field(0.0, _decides_if_any)
    lambda_texture: float = _field(0.0, _decides_if_any)
    lambda_lecam: float = _field(0.0, _decides_if_any)
    lambda_r1: float = _field(0.0, _decides_if_any)
    r1_sigma: float = _field(0.1, None)
    r1_every: int = _field(1, lambda every: min(every, 2))  # with and without it, or with it alone
    lambda_labelmix: float = _field(0.0, _decides_if_any)
    lambda_contrast: float = _field(0.0, _decides_if_any)
    contrast_temperature: float = _field(0.07, None)

    @property
    def guided(self) -> bool:
        """Whether they need a segmentation network."""
        return bool(self.lambda_guide or self.lambda_guide_feat)


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
    from the pictures that G has just learned from, where the original paints new ones with the new G. `augment`: what
    is done to all that D sees (`ecgan.training.augment`). `discriminator`: what judges pictures.
    """

    weights: LossWeights = _field(LossWeights(), alike)
    adam: AdamSettings = _field(AdamSettings(), None)
    d_steps_per_g: int = _field(1, None)
    ema_decay: float = _field(0.0, lambda decay: _decides_if_any(decay, 0.9))
    micro_batch: int | None = _field(None, None)
    spade: Spade = _field("exact-sparse", _decides)
    reuse_fakes: bool = _field(False, _decides)
    augment: tuple[Augmentation, ...] = _field((), _decides)
    discriminator: DiscriminatorKind = _field("patch", _decides)

    @property
    def critics(self) -> str:
        """Letters of the networks that judge: D, U, or both."""
        return {"patch": "D", "segmentation": "U", "both": "DU"}[self.discriminator]

    @property
    def heads(self) -> str:
        """Letters of the networks that learn with G and are not painted with: P, or none."""
        return "P" if self.weights.lambda_contrast else ""

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Recipe:
        """Of `dataclasses.asdict`, as JSON gives it back."""
        parts = {"weights": LossWeights(**values["weights"]), "adam": AdamSettings(**values["adam"])}
        return cls(**values | parts | {"augment": tuple(values["augment"])})

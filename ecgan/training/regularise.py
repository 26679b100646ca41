"""What keeps D from learning few photos by heart: LeCam regularisation, and R1 without second derivatives.

What D says of a picture is a `Verdict`, as in `ecgan.training.losses`; of its layers only the logits count here.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ecgan.errors import UserError
from ecgan.runtime import jt
from ecgan.training.losses import Verdict, mean_over_scales

#: How much of the averages of LeCam's stays at each step; that of its authors.
_DECAY = 0.99


def lecam(verdict: Verdict, anchor: jt.Var) -> jt.Var:
    """Mean of (logits - anchor)^2: for real pictures the anchor is the average of what D has said of fakes, for fakes
    that of what it has said of real ones.

    Tseng et al., "Regularizing Generative Adversarial Networks under Limited Data", CVPR 2021, equation 8.
    """
    return mean_over_scales(verdict, lambda logits: (logits - anchor).sqr().mean())


def approximate_r1(verdict: Verdict, of_noisy: Verdict) -> jt.Var:
    """Mean of (D(x) - D(x + n))^2 for real x, n normal of standard deviation sigma; gradients go through both.

    For small sigma about sigma^2 * |gradient of D|^2, which R1 (Mescheder et al., ICML 2018) penalises. Lin et al.,
    "Diffusion Adversarial Post-Training for One-Step Video Generation", ICML 2025.
    """
    differences = [[ours[-1] - theirs[-1]] for ours, theirs in zip(verdict, of_noisy, strict=True)]
    return mean_over_scales(differences, lambda difference: difference.sqr().mean())


def mean_logits(verdict: Verdict) -> jt.Var:
    """What LeCam's averages are of."""
    return mean_over_scales(verdict, lambda logits: logits.mean())


class Averages:
    """What D has said of real pictures and of fakes, on average over the last steps; 0 before the first.

    They begin with the first step's values: the bias of a beginning from 0 is divided out, as in Adam.
    """

    def __init__(self) -> None:
        self.values, self.steps = np.zeros(2), 0

    @property
    def anchors(self) -> tuple[jt.Var, jt.Var]:
        """For real pictures and for fakes: the average of the others, each (1, 1, 1, 1)."""
        real, fake = self.values
        return _constant(fake), _constant(real)

    def follow(self, real: float, fake: float) -> None:
        """After a step, with what D said in it."""
        self.steps += 1
        self.values = self.values + (1 - _DECAY) / (1 - _DECAY**self.steps) * (np.array([real, fake]) - self.values)

    def to_arrays(self) -> dict[str, np.ndarray]:
        return {"averages": self.values}

    def load(self, arrays: Mapping[str, np.ndarray], steps: int, what: str) -> None:
        """Raises UserError that begins with `what` if these are not averages."""
        values = arrays.get("averages")
        if values is None or values.shape != self.values.shape:
            raise UserError(f"{what} does not hold the averages of what D has said")
        self.values, self.steps = values, steps


def _constant(value: float) -> jt.Var:
    """Of a shape that is no scalar's, which Jittor may compile into operators if it is 0 or 1."""
    return jt.array(np.full((1, 1, 1, 1), value, np.float32)).stop_grad()

"""The perceptual loss: how far VGG19's features of two pictures are apart (docs/specification.md, section 3)."""

from __future__ import annotations

from collections.abc import Sequence

from ecgan.runtime import jt

_WEIGHTS = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1.0)


def perceptual(ours: Sequence[jt.Var], theirs: Sequence[jt.Var]) -> jt.Var:
    """Weighted sum over the five maps of the mean absolute difference; `theirs` are taken as they are."""
    terms = [w * (a - b.detach()).abs().mean() for w, a, b in zip(_WEIGHTS, ours, theirs, strict=True)]
    return sum(terms[1:], terms[0])

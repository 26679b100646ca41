"""Randomness as a function of what it is for, never of what was drawn before."""

from __future__ import annotations

import hashlib

import numpy as np


def generator_for(*purpose: object) -> np.random.Generator:
    """A generator of its own for each purpose: Philox keyed by the SHA-256 of the parts."""
    digest = hashlib.sha256("/".join(map(str, purpose)).encode()).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "little")))


def style_noise(seed: int, name: str, size: int) -> np.ndarray:
    """(size,) float32 standard normal: the random part of a picture's style, by seed and mask stem alone."""
    return generator_for(seed, name).standard_normal(size, dtype=np.float32)

"""The random part of a picture's style, a function of seed and mask name alone."""

from __future__ import annotations

import hashlib

import numpy as np


def style_noise(seed: int, name: str, size: int) -> np.ndarray:
    """(size,) float32 standard normal, from Philox keyed by the SHA-256 of seed and mask stem."""
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    generator = np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "little")))
    return generator.standard_normal(size, dtype=np.float32)

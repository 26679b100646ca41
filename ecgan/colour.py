"""Colour transfer: gives a picture the mean and spread of a reference's colours (docs/specification.md, section 4)."""

from __future__ import annotations

from typing import Literal

import numpy as np

ColourTransfer = Literal["lab", "none"]


def transfer_lab(picture: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 RGB with `reference`'s statistics per channel of 8-bit CIE LAB.

    x -> (x - mean) / std * std_ref + mean_ref with population standard deviations, clipped and
    truncated to 8 bit. A constant channel of `picture` is shifted to the reference's mean.
    `reference`: uint8 RGB of any size.
    """
    import cv2  # here, so that the networks do without it

    source = cv2.cvtColor(picture, cv2.COLOR_RGB2LAB).astype(np.float64)
    target = cv2.cvtColor(reference, cv2.COLOR_RGB2LAB).astype(np.float64)
    std, std_reference = source.std(axis=(0, 1)), target.std(axis=(0, 1))
    scale = np.divide(std_reference, std, out=np.zeros(3), where=std > 0)
    moved = (source - source.mean(axis=(0, 1))) * scale + target.mean(axis=(0, 1))
    return cv2.cvtColor(np.clip(moved, 0, 255).astype(np.uint8), cv2.COLOR_LAB2RGB)

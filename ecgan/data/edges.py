"""Edge maps of photos, which one of G's pictures learns from (docs/specification.md, section 3)."""

from __future__ import annotations

import numpy as np


def edge_map(photo: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 RGB -> (H, W) uint8: |gx + gy| / 2 of the grey photo, gx and gy by 3x3 Sobel, saturated.

    Taken before any flip: a signed sum of Sobels does not commute with flipping.
    """
    import cv2  # here, so that what only paints does without it

    grey = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)
    gx, gy = (cv2.Sobel(grey, cv2.CV_16S, dx, 1 - dx, ksize=3) for dx in (1, 0))
    return np.asarray(cv2.convertScaleAbs(cv2.addWeighted(gx, 0.5, gy, 0.5, 0)))

"""A scene's geometry per pixel: everything but its colours. The mask is part of it, so no style can change it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ecgan.drawn.camera import Camera
from ecgan.drawn.plan import Plan


@dataclass
class Layout:
    """Arrays are (height, width). Single things are stamped onto the land, the farthest first.

    labels, material: uint8. depth: float32, metres ahead, FAR for the sky. tone: float32, about
    -1..1, between a material's dark and light end. normal: (3, height, width) float32 towards x, y, -z (right, up,
    the camera). shore: float32, metres to the water's edge, negative in water. altitude: float32, metres.
    mirror: float32, the row whose colour still water shows here, plus `height` if it shows the sky
    behind all things; mirror_depth: how far that is. ripple: float32, about -1..1.
    """

    plan: Plan
    camera: Camera
    labels: np.ndarray
    material: np.ndarray
    depth: np.ndarray
    tone: np.ndarray
    normal: np.ndarray
    shade: np.ndarray
    shore: np.ndarray
    altitude: np.ndarray
    mirror: np.ndarray
    mirror_depth: np.ndarray
    ripple: np.ndarray

"""Which class each pixel of the land has, and the boundaries that only classes have."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from ecgan.drawn.camera import FAR, Camera, View
from ecgan.drawn.noise import fractal_tile, sample, stream, waves
from ecgan.drawn.plan import Plan
from ecgan.drawn.terrain import Relief, cliff_height, river_axis, track_axis, track_half_width
from ecgan.palette import class_id

SKY, MOUNTAIN, HILL, TREE, ROCK, GRASS, FIELD, ROAD, FALL = (
    class_id(name) for name in ("sky", "mountain", "hill", "tree", "rock", "grass", "field", "road", "waterfall")
)
#: Where `patches` is higher, the second class of the ground is.
_PATCH = 0.95


@dataclass(frozen=True)
class Sight:
    """The land as seen: plan, camera, height field, and which part of it each pixel sees."""

    plan: Plan
    camera: Camera
    relief: Relief
    view: View

    @cached_property
    def z(self) -> np.ndarray:
        """(height, width) float32, metres ahead."""
        return np.where(self.view.sky, np.float32(FAR), self.view.of(self.camera.z))

    @cached_property
    def x(self) -> np.ndarray:
        """(height, width) float32, metres to the right."""
        return self.camera.tangent * self.z

    @cached_property
    def ground(self) -> np.ndarray:
        """(height, width) float32, metres above the water."""
        return self.view.of(self.relief.ground)

    @cached_property
    def patches(self) -> np.ndarray:
        """(height, width) float32, about -2..2: what makes parts of the ground unlike others."""
        x, z = self.relief.x, self.camera.z
        field = waves(f"{self.plan.seed}/patches", x, z, 7 * self.plan.eye + 60, 6)
        return self.view.of(field + np.float32(0.4) * sample(fractal_tile("patches", 1.2, 3), x / 300, z / 300))

    @cached_property
    def parcels(self) -> tuple[np.ndarray, np.ndarray]:
        """Of fields, (height, width) float32: each parcel's random number in 0..1, and metres across its rows."""
        rng = stream(self.plan.seed, "parcels")
        angle, wide, long = rng.uniform(-0.6, 0.6), rng.uniform(30, 60), rng.uniform(80, 180)
        bend = self.view.of(6 * waves(f"{self.plan.seed}/parcels", self.relief.x, self.camera.z, 300, 3))
        cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
        across = self.x * cos - self.z * sin + bend
        column = np.floor((self.x * sin + self.z * cos) / np.float32(long)).astype(np.int64)
        row = np.floor(across / np.float32(wide) + (column % 3) * 0.37).astype(np.int64)
        return rng.random(256).astype(np.float32)[(row * 31 + column * 17) % 256], across


def classify(sight: Sight) -> np.ndarray:
    """(height, width) uint8 class ids. Later rules go before earlier ones."""
    plan, view = sight.plan, sight.view
    labels = _classify_ground(sight)
    canopy = view.of(sight.relief.canopy)
    labels[canopy > 1.9] = TREE
    if plan.water is not None:
        beach = view.of(sight.relief.shore - _beach(plan, sight.relief.x, sight.camera.z))
        labels[(beach < 0) & (sight.ground < 0.4 * plan.eye + 3)] = plan.shore
    labels = _without_specks(labels, view.sky)
    if plan.cliff:
        labels[view.of(_falling(plan, sight.relief.x, sight.camera.z)) > 0] = FALL
    if plan.water is not None:
        labels[(sight.ground <= 0) & (canopy < 1)] = plan.water
    labels[view.sky] = SKY
    return labels


def _classify_ground(sight: Sight) -> np.ndarray:
    """Without water, its shore and trees."""
    plan, view, z = sight.plan, sight.view, sight.z
    labels = np.full(z.shape, plan.ground, np.uint8)
    labels[sight.patches > _PATCH] = plan.patch
    if plan.ground == FIELD:
        labels[sight.parcels[0] > 0.72] = GRASS
    if plan.cliff:
        at = plan.cliff_at
        labels[(z > 0.35 * at) & (z < 1.25 * at) & (sight.ground > 0.12 * plan.cliff)] = ROCK
    if sight.relief.hill.any():
        labels[view.of(sight.relief.hill) > 0.22 * max(plan.hills, 1)] = HILL
    if plan.mountains:
        labels[view.of(sight.relief.mountain) > max(0.06 * plan.mountains, 1)] = MOUNTAIN
    if plan.track is not None:
        aside = np.abs(sight.x - view.of(track_axis(plan, sight.camera.z)))
        labels[(aside < track_half_width(plan)) & (z < 900) & (sight.ground < 60)] = plan.track
    return labels


def _without_specks(labels: np.ndarray, sky: np.ndarray) -> np.ndarray:
    """Specks of a few pixels teach nothing. What is beside the sky stays: there is no class behind it to take."""
    inside = cv2.erode((~sky).astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool)
    return np.where(inside, cv2.medianBlur(labels, 5), labels).astype(np.uint8)


def _beach(plan: Plan, x: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Metres: how wide the strip at the water is."""
    wide = np.float32({"coast": 1.6, "lake": 0.35, "falls": 0.5}.get(plan.kind, 0.25) * plan.eye)
    return wide * (1 + np.float32(0.4) * waves(f"{plan.seed}/beach", x, z, 9 * plan.eye, 4)) * (1 + z / 500)


def _falling(plan: Plan, x: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Positive where the river comes down the cliff, a little wider at the foot."""
    height = cliff_height(plan, x, z) / np.float32(plan.cliff)
    wide = np.float32(plan.half_width) * (np.float32(0.95) - np.float32(0.3) * np.clip(height, 0, 1))
    inside = wide - np.abs(x - river_axis(plan, z))
    return np.where((height > 0.01) & (z < 1.4 * plan.cliff_at), inside, np.minimum(inside, np.float32(-0.1)))

"""Pictures of single plants and stones, made once per process: shape, texture and normals, no colours."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import cv2
import numpy as np

from ecgan.drawn.materials import Material
from ecgan.drawn.noise import fractal_tile, smoothstep, stream

#: Side of a sprite in pixels, and how many of each kind there are.
_SIDE, _VARIANTS = 256, 7


@dataclass(frozen=True)
class Sprite:
    """Square; the thing stands in the middle of the lower edge and reaches the upper one.

    surface: (…, 4) float32: cover 0..1, tone about -1..1, the normal's parts to the right and up; the
    rest of it points to the camera. (Four is as many channels as OpenCV scales at once.)
    material: uint8 of the same size.
    """

    surface: np.ndarray
    material: np.ndarray

    def scaled(self, width: int, height: int) -> Sprite:
        if 2 * max(width, height) <= len(self.material):
            return self.half.scaled(width, height)
        surface = cv2.resize(self.surface, (width, height), interpolation=cv2.INTER_LINEAR)
        return Sprite(surface, cv2.resize(self.material, (width, height), interpolation=cv2.INTER_NEAREST))

    @functools.cached_property
    def half(self) -> Sprite:
        """At half the side: what smaller ones are scaled from, which is quicker and keeps fine structure calm."""
        side = len(self.material) // 2
        return Sprite(
            cv2.resize(self.surface, (side, side), interpolation=cv2.INTER_AREA), self.material[::2, ::2].copy()
        )

    @functools.cached_property
    def mirrored(self) -> Sprite:
        """Left and right swapped."""
        surface = np.ascontiguousarray(self.surface[:, ::-1])
        surface[..., 2] *= -1
        return Sprite(surface, np.ascontiguousarray(self.material[:, ::-1]))


@functools.cache
def sprites(kind: str) -> tuple[Sprite, ...]:
    """`kind`: conifer, broadleaf, bush, tuft or stone."""
    make = {"conifer": _conifer, "broadleaf": _broadleaf, "bush": _bush, "tuft": _tuft, "stone": _stone}[kind]
    return tuple(make(stream("sprite", kind, number)) for number in range(_VARIANTS))


def _axes() -> tuple[np.ndarray, np.ndarray]:
    """x in -1..1 to the right and y in 0..1 up, (1, side) and (side, 1)."""
    middle = (np.arange(_SIDE, dtype=np.float32) + 0.5) / _SIDE
    return (2 * middle - 1)[None, :], (1 - middle)[:, None]


def _noise(rng: np.random.Generator, slope: float, low: float) -> np.ndarray:
    """A cut-out of a tile, (side, side), deviation about 1."""
    row, column = rng.integers(0, _SIDE, 2)
    return np.roll(fractal_tile("sprite", slope, low), (row, column), (0, 1))[:_SIDE, :_SIDE]


def _sprite(cover: np.ndarray, tone: np.ndarray, normal: list[np.ndarray], material: np.ndarray | Material) -> Sprite:
    square = np.zeros((_SIDE, _SIDE), np.float32)
    right, up, near = (square + part for part in normal)
    length = np.sqrt(right**2 + up**2 + near**2) + np.float32(1e-6)
    surface = np.dstack([square + cover, square + tone, right / length, up / length])
    return Sprite(surface.astype(np.float32), (square + material).astype(np.uint8))


def _conifer(rng: np.random.Generator) -> Sprite:
    """Storeys of branches that widen downwards."""
    x, y = _axes()
    noise, fine = _noise(rng, 1.0, 8), _noise(rng, 0.7, 24)
    storeys = float(rng.uniform(6, 10))
    droop = np.abs(x) * np.float32(rng.uniform(0.08, 0.2))
    down = np.clip((1 - y) / 0.93, 0, 1)
    phase = (down**0.85 + droop + 0.012 * noise) * np.float32(storeys) % 1
    wide = (0.02 + 0.72 * down) * (0.5 + 0.5 * phase) * (1 + 0.14 * noise) + 0.03 * fine
    crown = (np.abs(x) < wide) & (y > 0.05 + 0.03 * noise + 0.1 * np.abs(x)) & (y < 0.995)
    trunk = (np.abs(x) < 0.045) & (y <= 0.12)
    tone = (phase - 0.55) * 0.9 + 0.28 * fine + 0.15 * noise
    right = np.clip(x / np.maximum(wide, 0.02), -1, 1) * 0.85 + 0.15 * fine
    up = 0.25 + 0.5 * phase + 0.2 * noise
    material = np.where(crown, Material.CONIFER, Material.TRUNK)
    return _sprite(crown | trunk, np.where(crown, tone, -0.2), [right, up, 0.6 * np.ones_like(x)], material)


def _broadleaf(rng: np.random.Generator) -> Sprite:
    crown = _foliage(rng, count=46, middle=0.62, tall=0.31, wide=float(rng.uniform(0.55, 0.78)), size=0.17)
    x, y = _axes()
    lean = float(rng.uniform(-0.08, 0.08))
    trunk = (np.abs(x - lean * y) < 0.05 - 0.02 * y) & (y < 0.6)
    cover, tone, normal = crown
    leaves = cover > 0
    bark = 0.5 * _noise(rng, 0.8, 16) - 0.2
    round_trunk = [np.clip((x - lean * y) / 0.05, -1, 1), 0.1 + 0 * x, 0.6 + 0 * x]
    normal = [np.where(leaves, part, other) for part, other in zip(normal, round_trunk, strict=True)]
    material = np.where(leaves, Material.BROADLEAF, Material.TRUNK)
    return _sprite(leaves | trunk, np.where(leaves, tone, bark), normal, material)


def _bush(rng: np.random.Generator) -> Sprite:
    cover, tone, normal = _foliage(rng, count=30, middle=0.42, tall=0.42, wide=0.8, size=0.22)
    return _sprite(cover, tone, normal, Material.BUSH)


def _foliage(
    rng: np.random.Generator, count: int, middle: float, tall: float, wide: float, size: float
) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Balls of leaves in an egg: cover, tone and normal."""
    x, y = _axes()
    leaf, rough = _noise(rng, 0.55, 20), _noise(rng, 1.0, 8)
    nearest = np.full((_SIDE, _SIDE), -np.inf, np.float32)
    right, up, tone = (np.zeros((_SIDE, _SIDE), np.float32) for _ in range(3))
    for _ in range(count):
        direction = rng.normal(size=3)
        direction *= rng.uniform(0.3, 1) ** 0.5 / np.linalg.norm(direction)
        radius = size * rng.uniform(0.6, 1.1)
        at_x, at_y = direction[0] * (wide - radius), middle + direction[1] * (tall - radius * 0.5)
        dx, dy = (x - np.float32(at_x)) / np.float32(radius), (y - np.float32(at_y)) * 2 / np.float32(radius)
        bulge = 1 - dx**2 - dy**2 - 0.32 * leaf - 0.25 * rough
        front = np.float32(direction[2]) + np.sqrt(np.maximum(bulge, 0)) * np.float32(radius)
        take = (bulge > 0) & (front > nearest)
        nearest[take] = front[take]
        right[take] = (dx + 0 * dy)[take] + np.float32(direction[0])
        up[take] = (dy + 0 * dx)[take] + np.float32(0.8 * direction[1] + 0.2)
        tone[take] = np.float32(0.3 * direction[1] + 0.12 * rng.normal() + 0.1 * direction[2])
    tone += 0.3 * leaf + 0.2 * np.clip(up, -1, 1)
    return nearest > -np.inf, tone, [right + 0.3 * leaf, up + 0.2 * rough, np.float32(0.7) + 0 * right]


def _tuft(rng: np.random.Generator) -> Sprite:
    """Blades from one root."""
    cover = np.zeros((_SIDE, _SIDE), np.uint8)
    tone = np.zeros((_SIDE, _SIDE), np.float32)
    for _ in range(70):
        root = _SIDE / 2 + rng.normal() * _SIDE * 0.12
        tip = root + rng.normal() * _SIDE * 0.2
        height = _SIDE * rng.uniform(0.45, 0.99)
        t = np.linspace(0, 1, 9)
        line = np.stack([root + (tip - root) * t**2, _SIDE - 1 - height * t], axis=1)
        points = np.round(line).astype(np.int32)
        thick = int(rng.integers(3, 8))
        cv2.polylines(cover, [points], False, (1,), thick)
        cv2.polylines(tone, [points], False, (float(rng.uniform(-0.5, 0.6)),), thick)
    x, y = _axes()
    return _sprite(cover, tone + y * 0.6 - 0.3, [x * 0.5, 0.5 + 0 * x, 0.7 + 0 * x], Material.REED)


def _stone(rng: np.random.Generator) -> Sprite:
    """A boulder of flat faces."""
    x, y = _axes()
    rough, fine = _noise(rng, 1.3, 4), _noise(rng, 0.9, 16)
    directions = rng.normal(size=(16, 3)) * np.array([1, 0.8, 0.5]) + np.array([0, 0.35, 0.7])
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    # A point of the surface belongs to the face that cuts deepest there.
    ball_x, ball_y = x / np.float32(0.92), (y - 0.42) / np.float32(0.5)
    ball_z = np.sqrt(np.maximum(1 - ball_x**2 - ball_y**2, 0))
    lean = [ball_x * d[0] + ball_y * d[1] + ball_z * d[2] for d in directions.astype(np.float32)]
    face = np.argmax(lean, axis=0)
    normal = directions.astype(np.float32)[face]
    cover = ball_x**2 + ball_y**2 + 0.12 * rough < 1
    tone = (
        0.3 * rough
        + 0.3 * fine
        + (0.5 * np.random.Generator(np.random.Philox(3)).random(16).astype(np.float32) - 0.25)[face]
    )
    foot = smoothstep(0.0, 0.15, y) - 1
    parts = [normal[..., 0] + 0.2 * fine, normal[..., 1] + 0.2 * rough, normal[..., 2]]
    return _sprite(cover, tone + 0.6 * foot, parts, Material.STONE)

"""The land's shape: height above the water level, and which part of it hills, mountains and trees have.

All functions take x (to the right) and z (ahead) in metres, float32 arrays that broadcast together.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ecgan.drawn.camera import Camera
from ecgan.drawn.noise import fractal_tile, ridged_tile, sample, smoothstep, stream, waves
from ecgan.drawn.plan import Plan

#: Metres: how tall a forest is, and from where on it is part of the height field; nearer trees are drawn one by one.
CANOPY, CANOPY_FROM = 11.0, 260.0


@dataclass(frozen=True)
class Relief:
    """(SLICES, width) float32 each, metres. `x`: to the right. `ground`: the land without trees, below
    0 under water; `top`: what can be seen, trees included and never below the water; `hill`,
    `mountain`, `canopy`: their parts; `shore`: distance to the water's edge, negative in water.
    """

    x: np.ndarray
    ground: np.ndarray
    top: np.ndarray
    hill: np.ndarray
    mountain: np.ndarray
    canopy: np.ndarray
    shore: np.ndarray


def relief_of(plan: Plan, camera: Camera) -> Relief:
    """The height field in front of the camera."""
    z = camera.z
    x = camera.tangent * z
    shore = shore_distance(plan, x, z)
    lift = _lift(plan, x, z, shore)
    hill = _hills(plan, x, z) * lift + _islands(plan, x, z)
    mountain = _mountains(plan, x, z) * lift
    ground = _base(plan, x, z, shore) + hill + mountain
    canopy = _canopy(plan, x, z, ground, forest_field(plan, x, z, hill, mountain))
    return Relief(x, ground, np.maximum(ground + canopy, 0), hill, mountain, canopy, shore)


def ground_at(plan: Plan, x: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Height of the land at single points, and the hills' part of it; points before the mountains only."""
    shore = shore_distance(plan, x, z)
    hill = _hills(plan, x, z) * _lift(plan, x, z, shore) + _islands(plan, x, z)
    return _base(plan, x, z, shore) + hill, hill


def shore_distance(plan: Plan, x: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Metres to the water's edge, about; negative in the water. Large where a scene has none."""
    if plan.water is None:
        return np.full(np.broadcast_shapes(x.shape, z.shape), 1e3, np.float32)
    rough = sample(fractal_tile("shore", 1.3, 2), x / 700 + np.float32(plan.seed % 97 / 97), z / 700)
    if plan.kind == "lake":
        return _lake_shore(plan, x, z) + rough * np.float32(0.025) * z
    if plan.kind == "coast":
        return _coast_shore(plan, x, z) + rough * np.float32(0.03) * np.minimum(z, 1500)
    bank = np.abs(x - river_axis(plan, z)) - np.float32(plan.half_width)
    return bank + rough * np.float32(0.05 * plan.eye**0.5) * np.sqrt(z)


def _lake_shore(plan: Plan, x: np.ndarray, z: np.ndarray) -> np.ndarray:
    """An egg with bays."""
    middle, radius = (plan.shore_from + plan.shore_to) / 2, (plan.shore_to - plan.shore_from) / 2
    wide = radius * (0.7 + 0.9 * stream(plan.seed, "lake").random())
    aside = (x - np.float32(plan.side * radius * 0.25)) / np.float32(wide)
    out = np.sqrt(aside**2 + ((z - np.float32(middle)) / np.float32(radius)) ** 2)
    bays = waves(f"{plan.seed}/shore", x, z, radius * 0.8)
    return (out - 1 + np.float32(0.1) * bays) * np.float32(radius)


def _coast_shore(plan: Plan, x: np.ndarray, z: np.ndarray) -> np.ndarray:
    """A line with bays, `turn` away from straight across."""
    line = (plan.shore_from - z) * np.float32(np.cos(plan.turn)) + x * np.float32(np.sin(plan.turn) * plan.side)
    bays = waves(f"{plan.seed}/shore", x, z, plan.shore_from * 4)
    return line + bays * np.float32(0.14) * np.minimum(z, 600)


def river_axis(plan: Plan, z: np.ndarray) -> np.ndarray:
    """x of the river's middle: bends that look alike at every distance."""
    if plan.cliff:  # straight where it falls
        return _bends(plan, "river", np.minimum(z, np.float32(0.75 * plan.cliff_at)), 0.3)
    return _bends(plan, "river", z, 0.62)


def track_axis(plan: Plan, z: np.ndarray) -> np.ndarray:
    """x of the middle of the road or path."""
    return _bends(plan, "track", z, 0.34)


def track_half_width(plan: Plan) -> float:
    return 0.16 * plan.eye + 0.6


def forest_field(plan: Plan, x: np.ndarray, z: np.ndarray, hill: np.ndarray, mountain: np.ndarray) -> np.ndarray:
    """Positive where trees grow; its size says how far inside."""
    if plan.forest <= 0:
        return np.full(np.broadcast_shapes(x.shape, z.shape), -1, np.float32)
    field = waves(f"{plan.seed}/forest", x, z, 260 if plan.kind == "forest" else 420, 6)
    field += np.float32(0.35) * sample(fractal_tile("forest", 1.2, 3), x / 800, z / 800)
    field += np.float32(3 * plan.forest - 1.5) + np.clip(hill / 50, 0, np.float32(0.8)) - np.clip(mountain / 50, 0, 4)
    if plan.track is not None:
        clearing = np.float32(2.2 * track_half_width(plan))
        field = np.minimum(field, (np.abs(x - track_axis(plan, z)) - clearing) / 10)
    return field


def cliff_height(plan: Plan, x: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Metres of a wall across the picture that comes nearer at the sides; buttresses by noise along it."""
    level = np.zeros((1, 1), np.float32)
    along = x / np.float32(60 * plan.eye) + np.float32(plan.seed % 89 / 89)
    buttress = sample(fractal_tile("buttress", 1.2, 3), along, level + np.float32(0.3))
    nearer = np.minimum((np.abs(x) / np.float32(plan.cliff_at)) ** np.float32(1.5), 1) * np.float32(0.55)
    at = np.float32(plan.cliff_at) * (1 - nearer + np.float32(0.06) * buttress)
    wall = smoothstep(0, 1, (z - at) / np.float32(0.1 * plan.cliff_at))
    crest = 1 + np.float32(0.16) * waves(f"{plan.seed}/crest", x, np.zeros_like(z), 9 * plan.eye, 4)
    from_river = (x - river_axis(plan, level + np.float32(plan.cliff_at))) / np.float32(plan.half_width)
    notch = 1 - np.float32(0.22) * np.exp(-np.minimum(from_river**2, 30))
    return np.float32(plan.cliff) * wall * crest * notch


def _base(plan: Plan, x: np.ndarray, z: np.ndarray, shore: np.ndarray) -> np.ndarray:
    """The land between water and hills; negative under water."""
    strength = np.float32(2.2 if plan.kind == "dunes" else 1.0)
    swell = waves(f"{plan.seed}/low", x, z, 22 * plan.eye) * np.minimum(z * np.float32(0.012), 5) * strength
    if plan.water is None:
        return 2 + swell
    height = _bank(plan, shore) + swell * smoothstep(2, 60, shore)
    return height + cliff_height(plan, x, z) if plan.cliff else height


def _canopy(plan: Plan, x: np.ndarray, z: np.ndarray, ground: np.ndarray, forest: np.ndarray) -> np.ndarray:
    """Metres by which tree tops are above the ground, where a forest is far enough."""
    if plan.forest <= 0:
        return np.zeros_like(ground)
    wooded = np.clip(forest * 4, 0, 1) * smoothstep(CANOPY_FROM, CANOPY_FROM * 1.3, z) * smoothstep(1, 3, ground)
    bumps = sample(fractal_tile("canopy", 0.4, 20, 200), x / 900, z / 900)
    return wooded * np.clip((0.75 + np.float32(0.22) * bumps) * np.float32(CANOPY), 2, 15)


def _bends(plan: Plan, name: str, z: np.ndarray, strength: float) -> np.ndarray:
    rng = stream(plan.seed, name)
    turn, phase, drift = rng.uniform(1.8, 3.2), rng.uniform(0, 6.28), rng.uniform(-0.12, 0.12)
    scale = np.minimum(z, 40 * plan.eye + 0.2 * z)
    log = np.log(z / np.float32(2 * plan.eye) + 1)
    return scale * np.float32(strength) * (np.sin(log * np.float32(turn) + np.float32(phase)) * 0.5 + np.float32(drift))


def _bank(plan: Plan, distance: np.ndarray) -> np.ndarray:
    """A beach or bank that flattens out inland; the bottom of the water falls off."""
    steep, reach = {"lake": (0.10, 60.0), "coast": (0.07, 90.0)}.get(plan.kind, (0.22, 12.0))
    reach = max(reach, 3 * plan.eye) if plan.kind != "river" else reach
    land = steep * reach * (1 - np.exp(-np.maximum(distance, 0) / np.float32(reach)))
    return np.where(distance > 0, land, np.maximum(distance * np.float32(0.2), -6)).astype(np.float32)


def _lift(plan: Plan, x: np.ndarray, z: np.ndarray, shore: np.ndarray) -> np.ndarray:
    """How much relief the land may have: none near water, none near the camera, less in a valley's middle."""
    side = np.clip(np.abs(x / z - np.float32(0.12 * plan.side)) / np.float32(0.4), 0, 1)
    lift = (1 - np.float32(plan.valley) * (1 - side)) * smoothstep(60, 400, z)
    if plan.water is not None:
        lift = lift * smoothstep(0, 0.35, shore / (z * np.float32(0.3) + 60))
    return lift


def _hills(plan: Plan, x: np.ndarray, z: np.ndarray) -> np.ndarray:
    if not plan.hills:
        return np.zeros(np.broadcast_shapes(x.shape, z.shape), np.float32)
    swell = waves(f"{plan.seed}/hills", x, z, 900, 6) * 0.5 + 0.45
    small = waves(f"{plan.seed}/knolls", x, z, 280, 5) * 0.12
    return np.float32(plan.hills) * np.maximum(swell + small, 0) * smoothstep(plan.hills_from, plan.hills_from * 2.2, z)


def _islands(plan: Plan, x: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Islands and headlands of a coast."""
    total = np.zeros(np.broadcast_shapes(x.shape, z.shape), np.float32)
    if plan.kind != "coast":
        return total
    rng = stream(plan.seed, "islands")
    for _ in range(int(rng.integers(0, 4))):
        ahead, aside = rng.uniform(450, 1600), rng.uniform(-0.65, 0.65)
        radius, height = ahead * rng.uniform(0.05, 0.22), ahead * rng.uniform(0.03, 0.11)
        away = ((x - np.float32(aside * ahead)) ** 2 + (z - np.float32(ahead)) ** 2) / np.float32(radius**2)
        total = np.maximum(total, np.float32(height) * np.exp(-np.minimum(away, 30)))
    rough = sample(ridged_tile("mountains"), x / 2600 + np.float32(rng.random()), z / 2600)
    return total * (0.35 + 0.9 * rough) * (total > 1)


def _mountains(plan: Plan, x: np.ndarray, z: np.ndarray) -> np.ndarray:
    """On a grid only; their foot is at `mountains_from`."""
    if not plan.mountains:
        return np.zeros(np.broadcast_shapes(x.shape, z.shape), np.float32)
    first = int(np.searchsorted(z[:, 0], plan.mountains_from))
    x, z = x[first:], z[first:]
    rng = stream(plan.seed, "mountains")
    size, angle = rng.uniform(9000, 14000), rng.uniform(0, 6.28)
    cos, sin = np.float32(np.cos(angle) / size), np.float32(np.sin(angle) / size)
    u, v = x * cos + z * sin + np.float32(rng.random()), z * cos - x * sin + np.float32(rng.random())
    warp = sample(fractal_tile("warp", 1.8, 3), u, v) * np.float32(0.012)
    crest = sample(ridged_tile("mountains"), u + warp, v - warp)
    massif = np.clip(0.75 + np.float32(0.3) * waves(f"{plan.seed}/massif", x, z, 4500, 4), 0.1, 1.4)
    rise = smoothstep(plan.mountains_from, plan.mountains_from * 2.3, z)
    height = np.float32(plan.mountains) * rise * massif * (0.25 + np.float32(0.75) * crest)
    # Crests narrower than the gap between slices would be seen as a comb.
    return np.concatenate([np.zeros((first, x.shape[1]), np.float32), cv2.GaussianBlur(height, (5, 5), 1.2)])

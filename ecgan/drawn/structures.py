"""What people have put into a landscape, and themselves: chosen and placed, each kind where it belongs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from ecgan.drawn import solids
from ecgan.drawn.layout import Layout
from ecgan.drawn.materials import Material
from ecgan.drawn.noise import stream
from ecgan.drawn.solids import Frame
from ecgan.drawn.stamp import stamp_shadow
from ecgan.drawn.terrain import (
    ground_at,
    river_axis,
    shore_distance,
    track_axis,
    track_half_width,
)
from ecgan.drawn.things import Thing
from ecgan.palette import class_id

HOUSE, BUILDING, BRIDGE, PIER, BOAT, SHIP, PERSON, FENCE, RAILING, WALL, OTHER = (
    class_id(name)
    for name in "house building bridge pier boat ship person fence railing wall other".split()  # noqa: SIM905
)
_WALLS = (Material.PLASTER, Material.PLASTER, Material.BRICK, Material.WOOD)
_ROOFS = (Material.ROOF_RED, Material.ROOF_RED, Material.ROOF_GREY)

Point = tuple[float, float, float]


class Site:
    """Looks for places: a layout before anything stands on it, and a random stream of its own."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.plan = layout.plan
        self.near = layout.camera.near
        self.rng = stream(layout.plan.seed, "structures")

    def chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def pick(self, *options: Material) -> Material:
        return options[int(self.rng.integers(len(options)))]

    def height(self, x: float, z: float) -> float:
        return float(ground_at(self.plan, *_at(x, z))[0][0, 0])

    def shore(self, x: float, z: float) -> float:
        """Metres to the water's edge, negative in water."""
        return float(shore_distance(self.plan, *_at(x, z))[0, 0])

    def off_track(self, x: float, z: float) -> float:
        """Metres to the edge of the road or path."""
        if self.plan.track is None:
            return 1e3
        return abs(x - float(track_axis(self.plan, _at(x, z)[1])[0, 0])) - track_half_width(self.plan)

    def look_for(
        self, start: float, end: float, good: Callable[[float, float], bool], spread: float = 0.42
    ) -> Point | None:
        """A place between `start` and `end` metres ahead and in the picture, or None after some tries."""
        camera = self.layout.camera
        for _ in range(25):
            z = float(np.exp(self.rng.uniform(np.log(start), np.log(end))))
            x = float(self.rng.uniform(-spread, spread)) * camera.width / camera.focal * z
            if good(x, z):
                return x, self.height(x, z), z
        return None


def structures(layout: Layout) -> list[Thing]:
    """In no order. `layout` is that of the land."""
    site = Site(layout)
    found: list[Thing] = []
    for kinds, make in _MAKERS:
        if layout.plan.kind in kinds:
            found += make(site)
    return found


def _at(x: float, z: float) -> tuple[np.ndarray, np.ndarray]:
    return np.array([[x]], np.float32), np.array([[z]], np.float32)


def _houses(site: Site) -> list[Thing]:
    plan, near = site.plan, site.near
    many = plan.kind == "village"
    count = int(site.rng.integers(7, 16)) if many else int(site.rng.choice([0, 1, 2], p=[0.5, 0.3, 0.2]))
    found: list[Thing] = []
    taken: list[Point] = []

    def good(x: float, z: float) -> bool:
        apart = all(np.hypot(x - other[0], z - other[2]) > 17 for other in taken)
        close = not many or site.off_track(x, z) < 40 + 0.1 * z
        return apart and close and site.off_track(x, z) > 8 and site.shore(x, z) > 14

    for _ in range(count):
        foot = site.look_for(max(2.4 * near, 38), 320, good)
        if foot is None:
            continue
        taken.append(foot)
        size = (site.rng.uniform(9, 15), site.rng.uniform(3.2, 6), site.rng.uniform(7, 10))
        wall, roof = site.pick(*_WALLS), site.pick(*_ROOFS)
        frame = Frame(foot, float(site.rng.uniform(-0.9, 0.9)))
        stamp = partial(solids.house, frame=frame, size=size, wall=wall, roof=roof, label=HOUSE)
        found.append(_grounded(stamp, foot, 1.5 * size[0]))
    return found


def _buildings(site: Site) -> list[Thing]:
    """A town in the distance."""
    if not site.chance(0.6):
        return []
    found = []
    middle = site.rng.uniform(-0.3, 0.3)
    for _ in range(int(site.rng.integers(4, 12))):
        z = float(site.rng.uniform(330, 620))
        x = float(middle + site.rng.normal() * 0.12) * site.layout.camera.width / site.layout.camera.focal * z
        if site.off_track(x, z) < 14 or site.shore(x, z) < 15:
            continue
        size = (site.rng.uniform(14, 30), site.rng.uniform(14, 52), site.rng.uniform(12, 20))
        wall = site.pick(Material.CONCRETE, Material.CONCRETE, Material.PLASTER, Material.BRICK)
        frame = Frame((x, site.height(x, z), z), float(site.rng.uniform(-0.5, 0.5)))
        found.append(Thing(z, partial(solids.building, frame=frame, size=size, wall=wall, label=BUILDING)))
    return found


def _bridge(site: Site) -> list[Thing]:
    plan = site.plan
    if not site.chance(0.5):
        return []
    z = plan.eye * float(site.rng.uniform(4.5, 11))
    x = float(river_axis(plan, _at(0, z)[1])[0, 0])
    half = plan.half_width * 1.35 + 4
    height, count = 0.16 * plan.eye + 2.2, int(np.clip(round(half / 5), 2, 6))
    frame = Frame((x, 0.0, z), float(site.rng.uniform(-0.15, 0.15)))
    stamp = partial(solids.arches, frame=frame, length=2 * half, height=height, depth=3.5, count=count, label=BRIDGE)
    return [Thing(z, stamp)]


def _pier(site: Site) -> list[Thing]:
    if not site.chance(0.45):
        return []
    foot = site.look_for(1.3 * site.near, 6 * site.near, lambda x, z: abs(site.shore(x, z) - 1.5) < 1.5, 0.4)
    if foot is None:
        return []
    x, _, z = foot
    # Down the slope is out into the water.
    out = np.array([site.shore(x + 4, z) - site.shore(x - 4, z), site.shore(x, z + 4) - site.shore(x, z - 4)])
    angle = float(np.arctan2(out[0], -out[1]))
    length, width = site.plan.eye * site.rng.uniform(1.6, 3.2), 0.18 * site.plan.eye + 0.8
    frame = Frame((x, 0.0, z), angle)
    stamp = partial(solids.pier, frame=frame, length=float(length), width=float(width), label=PIER)
    return [Thing(z + 0.5 * float(np.cos(angle)) * float(length), stamp)]


def _boats(site: Site) -> list[Thing]:
    found = []
    for _ in range(int(site.rng.choice([0, 1, 2, 4], p=[0.35, 0.3, 0.2, 0.15]))):
        foot = site.look_for(1.5 * site.near, 25 * site.near, lambda x, z: site.shore(x, z) < -5)
        if foot is None:
            continue
        sail = site.chance(0.6 if site.plan.kind != "river" else 0.15)
        length = float(site.rng.uniform(7, 11) if sail else site.rng.uniform(4.5, 6.5))
        hull = site.pick(Material.HULL_WHITE, Material.HULL_DARK, Material.WOOD, Material.CLOTH_RED)
        frame = Frame((foot[0], -0.1, foot[2]), float(site.rng.choice([0, np.pi]) + site.rng.uniform(-0.5, 0.5)))
        stamp = partial(solids.boat, frame=frame, length=length, hull=hull, sail=sail, label=BOAT)
        found.append(Thing(foot[2], stamp))
    return found


def _ships(site: Site) -> list[Thing]:
    if not site.chance(0.5):
        return []
    foot = site.look_for(500, 1600, lambda x, z: site.shore(x, z) < -80, 0.36)
    if foot is None:
        return []
    frame = Frame((foot[0], -0.5, foot[2]), float(site.rng.choice([0, np.pi])))
    length = float(site.rng.uniform(90, 170))
    return [Thing(foot[2], partial(solids.ship, frame=frame, length=length, label=SHIP))]


def _people(site: Site) -> list[Thing]:
    found: list[Thing] = []
    if not site.chance(0.35):
        return found
    for _ in range(int(site.rng.integers(1, 5))):
        foot = site.look_for(1.2 * site.near, 3.5 * site.near, lambda x, z: site.shore(x, z) > 2)
        if foot is None:
            continue
        height = float(site.rng.uniform(1.6, 1.9))
        cloth = site.pick(Material.CLOTH_RED, Material.CLOTH_BLUE, Material.HULL_WHITE)
        stamp = partial(solids.person, frame=Frame(foot, 0.0), height=height, cloth=cloth, label=PERSON)
        found.append(_grounded(stamp, foot, 0.9))
    return found


def _barriers(site: Site) -> list[Thing]:
    """A fence or wall along the track, or across the land; a railing before the water."""
    if not site.chance(0.45):
        return []
    kind = "fence" if site.chance(0.5) else "wall"
    if site.plan.kind in ("lake", "coast"):
        kind = "railing"
    x, z = _barrier_line(site)
    points = np.stack([x, [site.height(*place) for place in zip(x, z, strict=True)], z], axis=1)
    label = {"fence": FENCE, "wall": WALL, "railing": RAILING}[kind]
    found = []
    for one, other in zip(points[1:], points[:-1], strict=True):
        if site.shore(one[0], one[2]) > 0.8 and site.shore(other[0], other[2]) > 0.8:
            line = np.stack([one, other])
            found.append(Thing(float(line[:, 2].mean()), partial(solids.barrier, line=line, kind=kind, label=label)))
    return found


def _barrier_line(site: Site) -> tuple[np.ndarray, np.ndarray]:
    """(n,) metres each: x and z of its posts."""
    plan, camera, near = site.plan, site.layout.camera, site.near
    if plan.track is not None:
        z = np.geomspace(1.05 * near, 9 * near, 40)
        aside = track_half_width(plan) + float(site.rng.uniform(1.2, 4))
        axis = track_axis(plan, z[:, None].astype(np.float32))[:, 0]
        return axis + (aside if site.chance(0.5) else -aside), z
    wide = 0.62 * camera.width / camera.focal
    x = np.linspace(-wide, wide, 34) * 1.35 * near
    return x, 1.3 * near + x * float(site.rng.uniform(-0.3, 0.3))


def _bales(site: Site) -> list[Thing]:
    found: list[Thing] = []
    if not site.chance(0.5):
        return found
    for _ in range(int(site.rng.integers(4, 14))):
        foot = site.look_for(1.3 * site.near, 9 * site.near, lambda x, z: site.off_track(x, z) > 2)
        if foot is not None:
            frame = Frame(foot, float(site.rng.uniform(-0.6, 0.6)))
            found.append(_grounded(partial(solids.bale, frame=frame, label=OTHER), foot, 2.2))
    return found


def _grounded(stamp: Callable[[Layout], None], foot: Point, width: float) -> Thing:
    """With a shadow under it."""

    def shadow_and_stamp(layout: Layout) -> None:
        stamp_shadow(layout, foot, width)
        stamp(layout)

    return Thing(foot[2], shadow_and_stamp)


#: What there may be in which kinds of scene.
_MAKERS: tuple[tuple[tuple[str, ...], Callable[[Site], list[Thing]]], ...] = (
    (("village", "fields", "river", "lake"), _houses),
    (("village", "coast"), _buildings),
    (("river",), _bridge),
    (("lake", "coast"), _pier),
    (("lake", "coast", "river"), _boats),
    (("coast",), _ships),
    (("coast", "lake", "fields", "forest", "village"), _people),
    (("fields", "village", "coast", "lake", "forest"), _barriers),
    (("fields",), _bales),
)

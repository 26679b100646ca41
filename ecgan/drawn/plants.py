"""Where trees, bushes, tufts and stones stand."""

from __future__ import annotations

import numpy as np

from ecgan.drawn.layout import Layout
from ecgan.drawn.noise import stream
from ecgan.drawn.sprites import sprites
from ecgan.drawn.stamp import stamp_shadow, stamp_sprite
from ecgan.drawn.terrain import (
    CANOPY_FROM,
    forest_field,
    ground_at,
    shore_distance,
    track_axis,
    track_half_width,
)
from ecgan.drawn.things import Thing
from ecgan.palette import class_id

TREE, PLANT, ROCK = class_id("tree"), class_id("plant"), class_id("rock")

#: Metres: width and height of each kind, about.
_SIZES = {"conifer": (8.0, 14.0), "broadleaf": (9.5, 10.5), "bush": (2.6, 1.7), "tuft": (1.3, 1.3), "stone": (2.4, 1.6)}
#: What they may stand on, unless in a forest.
_SOIL = {
    kind: [class_id(name) for name in names.split()]
    for kind, names in {
        "trees": "grass hill earth land tree",
        "bush": "grass hill earth land rock tree",
        "tuft": "grass hill earth land rock sand",
        "stone": "grass hill earth land rock sand",
    }.items()
}
_LABELS = {"conifer": TREE, "broadleaf": TREE, "bush": PLANT, "tuft": PLANT, "stone": ROCK}


def plants(layout: Layout) -> list[Thing]:
    """Forest, single trees, undergrowth and stones, in no order."""
    plan, near = layout.plan, layout.camera.near
    rng = stream(plan.seed, "plants")
    found = []
    if plan.forest > 0:
        found += _grow(layout, rng, 420, 1.6 * near, 1.2 * CANOPY_FROM, ("trees",), wooded=True)
    found += _grow(layout, rng, plan.scatter, 1.8 * near, 40 * near, ("trees",), wooded=False)
    found += _grow(layout, rng, int(rng.integers(10, 70)), 1.15 * near, 10 * near, ("bush",), wooded=False)
    found += _grow(layout, rng, int(rng.integers(0, 90)), 1.1 * near, 5 * near, ("tuft", "tuft", "bush"), wooded=False)
    stones = 70 if plan.shore == ROCK or plan.cliff else int(rng.choice([0, 8, 30]))
    found += _grow(layout, rng, stones, 1.15 * near, 9 * near, ("stone",), wooded=False)
    return found


def _grow(
    layout: Layout, rng: np.random.Generator, count: int, start: float, end: float, kinds: tuple[str, ...], wooded: bool
) -> list[Thing]:
    """`count` tries between `start` and `end` metres ahead, inside or outside the forest; bad places stay empty."""
    plan, camera, large = layout.plan, layout.camera, kinds == ("trees",)
    z = rng.uniform(start, end, count) if wooded else np.exp(rng.uniform(np.log(start), np.log(end), count))
    x = rng.uniform(-0.55, 0.55, count) * camera.width / camera.focal * z
    chance = rng.random((count, 5))
    if not count:
        return []
    x, z = x.astype(np.float32)[:, None], z.astype(np.float32)[:, None]
    ground, hill = ground_at(plan, x, z)
    good = (ground > 0.25) & (ground < 0.8 * camera.eye + 0.05 * z)
    good &= (forest_field(plan, x, z, hill, np.zeros_like(hill)) > 0) == wooded
    # Nothing large may stand in the middle before everything else.
    good &= (not large) | (z > 4 * camera.near) | (np.abs(x) > 0.24 * z * camera.width / camera.focal)
    good &= shore_distance(plan, x, z) > (2.5 if large else 0.4)
    if plan.track is not None:
        good &= np.abs(x - track_axis(plan, z)) > track_half_width(plan) + (3 if large else 0.8)
    if plan.cliff:
        good &= (z < 0.4 * plan.cliff_at) | (z > 1.2 * plan.cliff_at)
    if not wooded:
        rows = np.clip(camera.row(ground, z).astype(int), 0, camera.height - 1)
        columns = np.clip(camera.column(x, z).astype(int), 0, camera.width - 1)
        good &= np.isin(layout.labels[rows, columns], _SOIL[kinds[0]])
    found = []
    for place in np.flatnonzero(good[:, 0]):
        foot = (float(x[place, 0]), float(ground[place, 0]), float(z[place, 0]))
        found.append(_plant(foot, kinds, plan.conifers, chance[place]))
    return found


def _plant(foot: tuple[float, float, float], kinds: tuple[str, ...], conifers: float, chance: np.ndarray) -> Thing:
    """`chance`: five numbers in 0..1 that decide kind, shape and size."""
    kind = kinds[int(chance[0] * len(kinds))]
    if kind == "trees":
        kind = "conifer" if chance[0] < conifers else "broadleaf"
    choice = sprites(kind)
    sprite = choice[int(chance[1] * len(choice))]
    if chance[2] < 0.5:
        sprite = sprite.mirrored
    grown, slim = 0.6 + 0.75 * chance[3], 0.85 + 0.3 * chance[4]
    width, height = _SIZES[kind][0] * grown * slim, _SIZES[kind][1] * grown

    def stamp(layout: Layout) -> None:
        stamp_shadow(layout, foot, width)
        stamp_sprite(layout, sprite, foot, (width, height), _LABELS[kind], tone=0.5 * float(chance[4]) - 0.25)

    return Thing(foot[2], stamp)

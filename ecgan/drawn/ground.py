"""Lays out the land: its classes, its texture, and what the water mirrors."""

from __future__ import annotations

import cv2
import numpy as np

from ecgan.data.images import Size
from ecgan.drawn.camera import FAR, Camera, first_below, look
from ecgan.drawn.classify import FALL, FIELD, MOUNTAIN, ROAD, ROCK, Sight, classify
from ecgan.drawn.layout import Layout
from ecgan.drawn.materials import Material, table
from ecgan.drawn.noise import detail_tile, fractal_tile, sample, smoothstep
from ecgan.drawn.plan import Plan
from ecgan.drawn.terrain import ground_at, relief_of, track_axis, track_half_width
from ecgan.palette import NAMES

_MATERIAL_OF = {
    "mountain": Material.MOUNTAIN,
    "sky": Material.SKY,
    "water": Material.WATER,
    "sea": Material.WATER,
    "rock": Material.ROCK,
    "tree": Material.CANOPY,
    "earth": Material.EARTH,
    "hill": Material.HILL,
    "river": Material.WATER,
    "sand": Material.SAND,
    "land": Material.LAND,
    "grass": Material.GRASS,
    "waterfall": Material.FALL,
    "path": Material.PATH,
    "lake": Material.WATER,
    "field": Material.CROP_A,
    "road": Material.ROAD,
}
_MATERIALS = np.array([_MATERIAL_OF.get(name, Material.EARTH) for name in NAMES], np.uint8)
_BUMPS = table("bump")


def lay_out_ground(plan: Plan, size: Size) -> Layout:
    """The scene without single trees, houses and other things."""
    camera = place_camera(plan, size)
    relief = relief_of(plan, camera)
    sight = Sight(plan, camera, relief, look(camera.row(relief.top, camera.z), camera.rows))
    labels = classify(sight)
    material = _MATERIALS[labels]
    wet = material == Material.WATER
    detail = _detail(sight, detail_tile(), sight.view.of(relief.ground + relief.canopy), flat=1)
    still = np.zeros_like(sight.z)
    mirror, mirror_depth = _mirror(sight, wet)
    layout = Layout(
        plan=plan,
        camera=camera,
        labels=labels,
        material=material,
        depth=sight.z,
        tone=np.float32(0.45) * detail[..., 0] + np.float32(0.16) * sight.patches,
        normal=_normals(sight, labels),
        shade=np.ones_like(sight.z),
        shore=sight.view.of(relief.shore),
        altitude=sight.ground,
        mirror=mirror,
        mirror_depth=mirror_depth,
        ripple=_detail(sight, detail_tile()[..., 2].copy(), still, flat=5) if wet.any() else still,
    )
    _plough(layout, sight)
    _mark_road(layout, sight)
    _let_fall(layout, sight)
    _roughen(layout, detail)
    return layout


def place_camera(plan: Plan, size: Size) -> Camera:
    """On the land at x = z = 0, `plan.eye` above it."""
    width, height = size
    origin = np.zeros((1, 1), np.float32)
    stand = max(0.0, float(ground_at(plan, origin, origin + np.float32(0.1))[0][0, 0]))
    focal, horizon = plan.focal * height, plan.horizon * height
    near = 0.7 * plan.eye * focal / (height - horizon)
    return Camera(width, height, focal, horizon, stand + plan.eye, near)


def _detail(sight: Sight, tile: np.ndarray, up: np.ndarray, flat: float) -> np.ndarray:
    """`tile` as fine structure that keeps its size in pixels at any distance; (height, width[, channels]) float32.

    The noise is sampled at the power of two that fits the distance, and blended with the next. `up`:
    the height of the surface in metres; `flat`: how many times wider than deep structures are. 0
    where only sky is.
    """
    shown = slice(sight.view.top, None)
    x, z, up = sight.x[shown], sight.z[shown], up[shown]
    level = np.log2(z * np.float32(0.8 * sight.camera.height / sight.camera.focal))
    whole = np.floor(level)
    fine, part = np.exp2(-whole), level - whole
    # Far ground is seen almost from the side: what lies on it would be smeared into lines.
    along = 2 * np.sqrt(np.float32(sight.plan.eye) * z) + np.float32(1.3) * up
    u, v = x * fine / np.float32(flat**0.5), along * fine * np.float32(flat**0.5)
    shift = np.float32(sight.plan.seed % 83 / 83)
    first, second = sample(tile, u + shift, v), sample(tile, u / 2 + shift, v / 2)
    detail = np.zeros((*sight.z.shape, *tile.shape[2:]), np.float32)
    detail[shown] = first + (second - first) * (part if tile.ndim == 2 else part[..., None])
    return detail


def _normals(sight: Sight, labels: np.ndarray) -> np.ndarray:
    """(3, height, width) float32 normals of the relief, not yet of unit length."""
    camera, relief = sight.camera, sight.relief
    surface = np.maximum(relief.ground, 0) + relief.canopy * np.float32(0.4)
    along = np.gradient(surface, axis=0) / np.gradient(camera.z, axis=0)
    across = np.gradient(surface, axis=1) * np.float32(camera.focal) / camera.z
    # At a fixed column x grows with z, so a slope along the column has a part of the slope across.
    along = along - across * camera.tangent
    slope_x, slope_z = sight.view.of(across), sight.view.of(along)
    if sight.plan.mountains:  # they are far away: what is left of their relief must be seen
        steep = np.where(labels == MOUNTAIN, np.float32(1.7), np.float32(1))
        slope_x, slope_z = slope_x * steep, slope_z * steep
    return np.stack([-slope_x, np.ones_like(slope_x), slope_z])


def _mirror(sight: Sight, wet: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Row and depth of what still water shows, as in Layout; 0 where `wet` is False.

    A ray mirrored at the water is the ray that the camera's own mirror image below the water would
    send out, and it is stopped by the first land behind the water.
    """
    camera, relief, view = sight.camera, sight.relief, sight.view
    height, width = wet.shape
    upside = (camera.horizon - (camera.eye + relief.top) * camera.focal / camera.z).astype(np.float32)
    upside[relief.ground <= 0] = np.inf
    rows = np.broadcast_to(2 * camera.horizon - camera.rows, wet.shape)[wet]
    hit = first_below(upside, view.index[wet[view.top :]], rows)
    free = hit >= relief.top.size
    step, column = np.divmod(np.minimum(hit, relief.top.size - 1), width)
    land = camera.row(relief.top[step, column], camera.z[step, 0])
    mirror, depth = np.zeros(wet.shape, np.float32), np.zeros(wet.shape, np.float32)
    mirror[wet] = np.where(free, np.abs(rows) + height, np.clip(land, 0.5, height - 0.5))
    depth[wet] = np.where(free, np.float32(FAR), camera.z[step, 0])
    return mirror, depth


def _plough(layout: Layout, sight: Sight) -> None:
    """Gives each parcel its crop, in rows."""
    if layout.plan.ground != FIELD:
        return
    field = layout.labels == FIELD
    number, across = sight.parcels
    layout.material[field & (number > 0.26)] = Material.CROP_B
    layout.material[field & (number > 0.5)] = Material.CROP_C
    near = 1 - smoothstep(60, 260, layout.depth)
    layout.tone += np.sin(across * np.float32(2 * np.pi / 2.4)) * near * np.float32(0.8) * field


def _mark_road(layout: Layout, sight: Sight) -> None:
    plan, z = layout.plan, layout.depth
    if plan.track != ROAD:
        return
    aside, half = np.abs(sight.x - track_axis(plan, z)), np.float32(track_half_width(plan))
    middle = aside < 0.035 * half + z * np.float32(0.4 / layout.camera.focal)
    dashes = np.sin(z * np.float32(0.9)) > -0.2
    edge = np.abs(aside - np.float32(0.88) * half) < 0.03 * half
    layout.material[(layout.labels == ROAD) & (middle & dashes | edge) & (z < 160)] = Material.MARKING


def _let_fall(layout: Layout, sight: Sight) -> None:
    """Streaks in falling water, layers in the rock beside it."""
    plan, eye = layout.plan, np.float32(layout.plan.eye)
    if not plan.cliff:
        return
    rock = (layout.labels == ROCK) & (layout.depth > 0.3 * plan.cliff_at)
    strata = sample(fractal_tile("strata", 1.0, 4), sight.x / (250 * eye), layout.altitude / (9 * eye))
    layout.tone[rock] += np.float32(0.45) * strata[rock]
    falling = layout.labels == FALL
    streaks = sample(fractal_tile("streaks", 0.9, 3), sight.x / (3 * eye), layout.altitude / (40 * eye))
    layout.tone[falling] = np.clip(streaks[falling] * np.float32(0.45) + np.float32(0.25), -1, 1)


def _roughen(layout: Layout, detail: np.ndarray) -> None:
    """Tilts the normals by the detail's slopes, as much as the material is rough, and gives them unit length."""
    strength = cv2.LUT(layout.material, _BUMPS)
    layout.normal[0] -= detail[..., 1] * strength
    layout.normal[2] += detail[..., 2] * strength
    layout.normal /= np.sqrt(np.square(layout.normal).sum(axis=0))

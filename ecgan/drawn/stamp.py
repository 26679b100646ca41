"""Puts single things into a layout: sprites, and flat faces given by their corners in the world.

Whatever is nearer already hides them, and still water mirrors them.
"""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np

from ecgan.drawn.layout import Layout
from ecgan.drawn.materials import Material
from ecgan.drawn.sprites import Sprite

#: A thing hides what is nearer by no more than this, the uneven ground that it stands on.
_SLACK = 0.985


def stamp_sprite(
    layout: Layout,
    sprite: Sprite,
    foot: tuple[float, float, float],
    size: tuple[float, float],
    label: int,
    tone: float = 0.0,
) -> None:
    """`foot`: x, y, z in metres of where it stands; `size`: width and height in metres; `tone` is added."""
    camera = layout.camera
    x, y, z = foot
    width, height = (max(1, round(camera.pixels(side, z))) for side in size)
    if height < 2 or width > 2 * camera.width or height > 2 * camera.height:
        return
    left = round(float(camera.column(x, z)) - width / 2)
    # A little into the ground, which is uneven.
    bottom = round(float(camera.row(y, z)) + 0.04 * height)
    inside = _clip(layout, left, bottom - height, width, height)
    if inside is None or (layout.depth[inside[0]] < z * _SLACK).all():
        return
    here, part = inside
    picture = sprite.scaled(width, height)
    cover = picture.surface[..., 0] > 0.5
    shown = cover[part] & (layout.depth[here] > z * _SLACK)
    _, bright, right, up = np.moveaxis(picture.surface[part], 2, 0)
    near = np.sqrt(np.maximum(1 - right**2 - up**2, 0))
    _put(layout, here, shown, label, picture.material[part], z, y, bright + np.float32(tone), (right, up, near))
    if layout.plan.water is not None:
        _mirror(layout, cover[::-1], left, round(2 * _waterline(layout, z)) - bottom, z)


def stamp_face(
    layout: Layout, corners: np.ndarray, label: int, material: Material, tone: float = 0.0, rough: float = 0.12
) -> None:
    """`corners`: (n, 3) metres, a flat polygon, or (m, n, 3) several in one plane; it is lit from the
    side that it turns to the camera. `rough`: how much of the texture that was there before shows through.
    """
    camera = layout.camera
    x, y, z = corners.reshape(-1, *corners.shape[-2:]).transpose(2, 0, 1)
    if z.min() < 0.5 * camera.near:
        return
    middle = float(z.mean())
    columns = camera.column(x, z)
    filled = _fill(layout, columns, camera.row(y, z))
    if filled is None:
        return
    here, cover = filled
    shown = cover & (layout.depth[here] > float(z.min()) * _SLACK)
    bright = layout.tone[here] * np.float32(rough) + np.float32(tone)
    normal = _normal(corners.reshape(-1, 3)[: corners.shape[-2]], camera.eye)
    _put(layout, here, shown, label, material, middle, y.mean(), bright, normal)
    image = _fill(layout, columns, camera.row(-y, z)) if layout.plan.water is not None else None
    if image is not None:
        (rows, across), cover = image
        _mirror(layout, cover, across.start, rows.start, middle)


def stamp_shadow(layout: Layout, foot: tuple[float, float, float], width: float, strength: float = 0.5) -> None:
    """Darkens the ground under a thing, `width` metres wide."""
    camera = layout.camera
    x, y, z = foot
    half = camera.pixels(width / 2, z)
    if half < 1.5 or half > camera.width:
        return
    flat = max(1.0, half * min(1.0, 1.2 * (camera.eye - y) / z))
    column, row = float(camera.column(x, z)), float(camera.row(y, z))
    inside = _clip(layout, int(column - half), int(row - flat), int(2 * half) + 1, int(2 * flat) + 1)
    if inside is None:
        return
    here, _ = inside
    dx = (np.arange(here[1].start, here[1].stop, dtype=np.float32)[None, :] - np.float32(column)) / np.float32(half)
    dy = (np.arange(here[0].start, here[0].stop, dtype=np.float32)[:, None] - np.float32(row)) / np.float32(flat)
    layout.shade[here] *= 1 - np.float32(strength) * np.clip(1 - dx**2 - dy**2, 0, 1)


def _put(
    layout: Layout,
    here: tuple[slice, slice],
    shown: np.ndarray,
    label: int,
    material: np.ndarray | int,
    depth: float,
    altitude: float,
    tone: np.ndarray,
    normal: Iterable[np.ndarray | float],
) -> None:
    """Writes every array of the layout where `shown`, in the rectangle `here`."""
    np.copyto(layout.labels[here], np.uint8(label), where=shown)
    np.copyto(layout.material[here], np.asarray(material, np.uint8), where=shown)
    np.copyto(layout.depth[here], np.float32(depth), where=shown)
    np.copyto(layout.altitude[here], np.float32(altitude), where=shown)
    np.copyto(layout.tone[here], tone, where=shown)
    np.copyto(layout.shade[here], np.float32(1), where=shown)
    for plane, part in zip(layout.normal, normal, strict=True):
        np.copyto(plane[here], part, where=shown)


def _waterline(layout: Layout, z: float) -> float:
    """The row about which things at distance z are mirrored."""
    return float(layout.camera.row(0.0, z))


def _clip(
    layout: Layout, left: int, top: int, width: int, height: int
) -> tuple[tuple[slice, slice], tuple[slice, slice]] | None:
    """The part of the picture under a rectangle, and the part of the rectangle that is in the picture."""
    rows = slice(max(top, 0), min(top + height, layout.camera.height))
    columns = slice(max(left, 0), min(left + width, layout.camera.width))
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return None
    part = (slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left))
    return (rows, columns), part


def _fill(layout: Layout, columns: np.ndarray, rows: np.ndarray) -> tuple[tuple[slice, slice], np.ndarray] | None:
    """The rectangle around polygons in the picture, and which of its pixels they cover. (m, n) corners each."""
    left, right, top, bottom = columns.min(), columns.max(), rows.min(), rows.max()
    width, height = layout.camera.width, layout.camera.height
    if right < 0 or bottom < 0 or left >= width or top >= height or max(right - left, bottom - top) > 4 * width:
        return None
    corner = (int(left) - 1, int(top) - 1)
    inside = _clip(layout, *corner, int(right) - corner[0] + 2, int(bottom) - corner[1] + 2)
    if inside is None:
        return None
    here, _ = inside
    cover = np.zeros((here[0].stop - here[0].start, here[1].stop - here[1].start), np.uint8)
    points = np.stack([columns - (here[1].start + 0.5), rows - (here[0].start + 0.5)], axis=-1)
    cv2.fillPoly(cover, list(np.round(points * 16).astype(np.int32)), (1,), shift=4)
    return here, cover.view(bool)


def _mirror(layout: Layout, cover: np.ndarray, left: int, top: int, z: float) -> None:
    """Notes that water shows the thing here: `cover` is its mirror image, upside down."""
    inside = _clip(layout, left, top, cover.shape[1], cover.shape[0])
    if inside is None:
        return
    here, part = inside
    shown = cover[part] & (layout.mirror_depth[here] > z) & (layout.depth[here] < z * 1.02)
    rows = 2 * _waterline(layout, z) - layout.camera.rows[here[0]]
    np.copyto(layout.mirror[here], np.clip(rows, 0.5, layout.camera.height - 0.5), where=shown)
    np.copyto(layout.mirror_depth[here], np.float32(z), where=shown)


def _normal(corners: np.ndarray, eye: float) -> np.ndarray:
    """Towards the camera's side: right, up, to the camera."""
    normal = np.cross(corners[1] - corners[0], corners[2] - corners[0])
    normal = normal / (np.linalg.norm(normal) + 1e-9)
    if normal @ (corners.mean(axis=0) - np.array([0, eye, 0])) > 0:
        normal = -normal
    return np.array([normal[0], normal[1], -normal[2]], np.float32)

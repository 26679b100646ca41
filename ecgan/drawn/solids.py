"""Things of flat faces, each standing in a frame of its own: houses, hulls, posts, walls."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ecgan.drawn.layout import Layout
from ecgan.drawn.materials import Material
from ecgan.drawn.stamp import stamp_face


@dataclass(frozen=True)
class Frame:
    """Own coordinates in metres: a along the thing, b across it (away from the camera at angle 0), y up from `foot`."""

    foot: tuple[float, float, float]
    angle: float

    def world(self, points: object) -> np.ndarray:
        """(…, 3) of a, y, b -> (…, 3) of x, y, z."""
        a, y, b = np.moveaxis(np.asarray(points, np.float64), -1, 0)
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        x0, y0, z0 = self.foot
        return np.stack([x0 + a * cos - b * sin, y0 + y, z0 + a * sin + b * cos], axis=-1)

    def faces_camera(self, layout: Layout, points: object, outwards: tuple[float, float, float]) -> bool:
        """Whether the side of the face that `outwards` (a, y, b) points to can be seen."""
        corners = self.world(points)
        tip = self.world([outwards])[0] - np.array(self.foot)
        eye = np.array([0, layout.camera.eye, 0])
        return bool((eye - corners.mean(axis=0)) @ tip > 0)


def plate(
    layout: Layout, frame: Frame, points: object, label: int, material: Material, tone: float = 0.0, rough: float = 0.12
) -> None:
    """A face seen from both sides."""
    stamp_face(layout, frame.world(points), label, material, tone, rough)


def box(
    layout: Layout,
    frame: Frame,
    low: tuple[float, float, float],
    high: tuple[float, float, float],
    label: int,
    material: Material,
    tone: float = 0.0,
) -> None:
    """The visible sides of a box between two corners (a, y, b)."""
    (a0, y0, b0), (a1, y1, b1) = low, high
    sides = (
        ([(a0, y0, b1), (a1, y0, b1), (a1, y1, b1), (a0, y1, b1)], (0.0, 0.0, 1.0)),
        ([(a0, y0, b0), (a0, y0, b1), (a0, y1, b1), (a0, y1, b0)], (-1.0, 0.0, 0.0)),
        ([(a1, y0, b0), (a1, y0, b1), (a1, y1, b1), (a1, y1, b0)], (1.0, 0.0, 0.0)),
        ([(a0, y0, b0), (a1, y0, b0), (a1, y1, b0), (a0, y1, b0)], (0.0, 0.0, -1.0)),
        ([(a0, y1, b0), (a1, y1, b0), (a1, y1, b1), (a0, y1, b1)], (0.0, 1.0, 0.0)),
    )
    for points, outwards in sides:
        if frame.faces_camera(layout, points, outwards):
            plate(layout, frame, points, label, material, tone)


def windows(
    layout: Layout,
    frame: Frame,
    corner: tuple[float, float, float],
    across: tuple[float, float, float],
    wall: tuple[float, float],
    grid: tuple[int, int],
    label: int,
) -> None:
    """`grid` columns and rows of windows on a wall: `corner` its lower end, `across` (a, y, b) the unit step along it,
    `wall` its length and height."""
    columns, rows = grid
    wide, tall = wall[0] / columns, wall[1] / rows
    if layout.camera.pixels(min(wide, tall), frame.foot[2]) < 2.2:
        return
    start, step, up = np.array(corner), np.array(across), np.array([0.0, 1.0, 0.0])
    panes = []
    for column in range(columns):
        for row in range(rows):
            low = start + step * (column + 0.27) * wide + up * (row + 0.3) * tall
            side, rise = step * 0.46 * wide, up * 0.5 * tall
            panes.append([low, low + side, low + side + rise, low + rise])
    plate(layout, frame, panes, label, Material.WINDOW, rough=0.0)


def house(
    layout: Layout, frame: Frame, size: tuple[float, float, float], wall: Material, roof: Material, label: int
) -> None:
    """`size`: length, height of the walls, depth. The ridge runs along the length."""
    length, height, depth = size
    a, b, ridge, over = length / 2, depth / 2, height + 0.42 * depth, 0.5
    for side in (-1.0, 1.0):
        gable = [
            (side * a, -1, -b),
            (side * a, -1, b),
            (side * a, height, b),
            (side * a, ridge, 0),
            (side * a, height, -b),
        ]
        if frame.faces_camera(layout, gable, (side, 0, 0)):
            plate(layout, frame, gable, label, wall, tone=-0.05)
            windows(layout, frame, (side * a, 0.4, -b), (0, 0, 1), (depth, height), (2, 1 + int(height > 4)), label)
        front = [(-a, -1, side * b), (a, -1, side * b), (a, height, side * b), (-a, height, side * b)]
        if frame.faces_camera(layout, front, (0, 0, side)):
            plate(layout, frame, front, label, wall, tone=0.1)
            windows(layout, frame, (-a, 0.4, side * b), (1, 0, 0), (length, height), (4, 1 + int(height > 4)), label)
            door = [(-0.55, -1, side * b), (0.55, -1, side * b), (0.55, 2, side * b), (-0.55, 2, side * b)]
            plate(layout, frame, door, label, Material.WOOD, tone=-0.3)
    eaves = height - 0.2
    halves = [
        [
            (-a - over, eaves, s * (b + over)),
            (a + over, eaves, s * (b + over)),
            (a + over, ridge, 0),
            (-a - over, ridge, 0),
        ]
        for s in (1.0, -1.0)
    ]
    for points, side in zip(halves, (1.0, -1.0), strict=True):
        if frame.faces_camera(layout, points, (0, depth, side * 0.84 * depth)):
            plate(layout, frame, points, label, roof, rough=0.5)


def building(layout: Layout, frame: Frame, size: tuple[float, float, float], wall: Material, label: int) -> None:
    """A block of flats."""
    length, height, depth = size
    a, b = length / 2, depth / 2
    box(layout, frame, (-a, -2, -b), (a, height, b), label, wall)
    grid = (max(2, round(length / 4)), max(2, round(height / 3.4)))
    for side in (-1.0, 1.0):
        if frame.faces_camera(layout, [(0, 0, side * b)], (0, 0, side)):
            windows(layout, frame, (-a, 0, side * b), (1, 0, 0), (length, height), grid, label)
        if frame.faces_camera(layout, [(side * a, 0, 0)], (side, 0, 0)):
            columns = max(1, round(depth / 4))
            windows(layout, frame, (side * a, 0, -b), (0, 0, 1), (depth, height), (columns, grid[1]), label)


def boat(layout: Layout, frame: Frame, length: float, hull: Material, sail: bool, label: int) -> None:
    """A rowing boat, or a sailing boat with two sails; its side is towards the camera at angle 0."""
    a, deck = length / 2, 0.13 * length
    side = [(-0.85 * a, 0, 0), (0.7 * a, 0, 0), (a, 1.15 * deck, 0), (0.3 * a, 0.95 * deck, 0), (-a, deck, 0)]
    inner = [
        (-0.95 * a, 0.95 * deck, 0.1),
        (0.9 * a, 1.05 * deck, 0.1),
        (0.5 * a, 1.3 * deck, 0.12 * a),
        (-0.8 * a, 1.2 * deck, 0.12 * a),
    ]
    plate(layout, frame, inner, label, Material.WOOD)
    plate(layout, frame, side, label, hull)
    if sail:
        plate(
            layout,
            frame,
            [(-0.02 * a, deck, 0), (0.02 * a, deck, 0), (0.01 * a, 1.3 * length, 0)],
            label,
            Material.WOOD,
        )
        plate(
            layout,
            frame,
            [(-0.05 * a, 1.6 * deck, 0), (-0.85 * a, 1.7 * deck, 0), (-0.03 * a, 1.28 * length, 0)],
            label,
            Material.SAIL,
        )
        plate(
            layout,
            frame,
            [(0.06 * a, 1.6 * deck, 0), (0.85 * a, 1.5 * deck, 0), (0.04 * a, 1.1 * length, 0)],
            label,
            Material.SAIL,
            tone=-0.3,
        )


def ship(layout: Layout, frame: Frame, length: float, label: int) -> None:
    """A freighter from the side."""
    a, deck = length / 2, 0.09 * length
    hull = [(-0.96 * a, 0, 0), (0.9 * a, 0, 0), (a, 1.35 * deck, 0), (0.8 * a, deck, 0), (-a, 1.05 * deck, 0)]
    plate(layout, frame, hull, label, Material.HULL_DARK)
    for start, end, height in ((-0.85, -0.55, 2.6), (-0.5, -0.1, 1.45), (-0.05, 0.35, 1.55), (0.4, 0.62, 1.35)):
        bridge = height > 2
        points = [(start * a, deck, 0), (end * a, deck, 0), (end * a, height * deck, 0), (start * a, height * deck, 0)]
        plate(layout, frame, points, label, Material.HULL_WHITE if bridge else Material.BRICK)
    funnel = [
        (-0.74 * a, 2.6 * deck, 0),
        (-0.66 * a, 2.6 * deck, 0),
        (-0.66 * a, 3.3 * deck, 0),
        (-0.74 * a, 3.3 * deck, 0),
    ]
    plate(layout, frame, funnel, label, Material.CLOTH_RED)


def person(layout: Layout, frame: Frame, height: float, cloth: Material, label: int) -> None:
    """Standing, seen from the front or the back."""
    h = height
    for side in (-1.0, 1.0):
        leg = [(side * 0.02 * h, -0.02, 0), (side * 0.11 * h, -0.02, 0), (side * 0.1 * h, 0.5 * h, 0), (0, 0.5 * h, 0)]
        plate(layout, frame, leg, label, Material.HULL_DARK, tone=-0.2)
        arm = [
            (side * 0.12 * h, 0.8 * h, 0),
            (side * 0.19 * h, 0.45 * h, 0),
            (side * 0.15 * h, 0.44 * h, 0),
            (side * 0.08 * h, 0.74 * h, 0),
        ]
        plate(layout, frame, arm, label, cloth, tone=-0.2)
    body = [(-0.11 * h, 0.47 * h, 0), (0.11 * h, 0.47 * h, 0), (0.13 * h, 0.82 * h, 0), (-0.13 * h, 0.82 * h, 0)]
    plate(layout, frame, body, label, cloth)
    turn = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    head = np.stack([0.065 * h * np.cos(turn), 0.91 * h + 0.085 * h * np.sin(turn), 0 * turn], axis=1)
    plate(layout, frame, head, label, Material.SKIN)


def bale(layout: Layout, frame: Frame, label: int) -> None:
    """A round bale of straw lying on its side, its end towards the camera at angle 0."""
    radius, half = 0.75, 0.6
    turn = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    ring = np.stack([radius * np.cos(turn), radius + radius * np.sin(turn), 0 * turn - half], axis=1)
    upper = turn <= np.pi + 0.01
    skin = np.concatenate([ring[upper], ring[upper][::-1] + np.array([0, 0, 2 * half])])
    plate(layout, frame, skin, label, Material.STRAW, tone=0.15)
    plate(layout, frame, ring, label, Material.STRAW, tone=-0.2)


def arches(layout: Layout, frame: Frame, length: float, height: float, depth: float, count: int, label: int) -> None:
    """A stone bridge along a: the far side first, then what is seen of the deck, then the near side."""
    a = length / 2
    span = length / count
    for b, tone in ((depth / 2, -0.35), (-depth / 2, 0.1)):
        for number in range(count):
            left = -a + number * span
            turn = np.linspace(np.pi, 0, 11)
            arch = np.stack(
                [left + span / 2 + 0.42 * span * np.cos(turn), 0.74 * height * np.sin(turn) - 0.3, 0 * turn + b], 1
            )
            outline = [
                (left, height, b),
                (left, -1.5, b),
                (left + 0.08 * span, -1.5, b),
                *arch,
                (left + 0.92 * span, -1.5, b),
                (left + span, -1.5, b),
                (left + span, height, b),
            ]
            plate(layout, frame, outline, label, Material.STONE, tone=tone, rough=0.5)
        if b > 0:
            deck = [(-a, height - 0.3, -b), (a, height - 0.3, -b), (a, height - 0.3, b), (-a, height - 0.3, b)]
            plate(layout, frame, deck, label, Material.ROAD)
    parapet = [
        (-a, height - 0.1, -depth / 2 - 0.1),
        (a, height - 0.1, -depth / 2 - 0.1),
        (a, height + 0.5, -depth / 2 - 0.1),
        (-a, height + 0.5, -depth / 2 - 0.1),
    ]
    plate(layout, frame, parapet, label, Material.STONE, tone=0.3, rough=0.4)


def pier(layout: Layout, frame: Frame, length: float, width: float, label: int) -> None:
    """Runs along b, away from the foot; posts under it."""
    deck = 0.9
    for at in np.arange(length - 0.3, 0, -3.5):
        for side in (-1.0, 1.0):
            low, high = (side * width / 2 - 0.14, -1.2, at), (side * width / 2 + 0.14, deck + 0.5, at + 0.2)
            box(layout, frame, low, high, label, Material.WOOD, tone=-0.4)
    for start in np.arange(length, 0, -1.0):
        near = max(start - 1.0, 0)
        planks = [
            (-width / 2, deck, near),
            (width / 2, deck, near),
            (width / 2, deck, start),
            (-width / 2, deck, start),
        ]
        plate(layout, frame, planks, label, Material.WOOD, tone=0.2 + 0.25 * float(np.sin(start * 12.9)), rough=0.3)
    edge = [
        (-width / 2, deck - 0.35, 0),
        (-width / 2, deck, 0),
        (-width / 2, deck, length),
        (-width / 2, deck - 0.35, length),
    ]
    for side in (-1.0, 1.0):
        points = [(side * width / 2, y, b) for _, y, b in edge]
        if frame.faces_camera(layout, points, (side, 0, 0)):
            plate(layout, frame, points, label, Material.WOOD, tone=-0.45)


#: Of each kind of barrier: its material, its rails as lower and upper edge in metres, half a post's width or 0.
_BARRIERS = {
    "fence": (Material.WOOD, ((0.45, 0.62), (0.95, 1.12)), 0.09),
    "railing": (Material.STEEL, ((0.5, 0.56), (1.0, 1.1)), 0.05),
    "wall": (Material.STONE, ((-0.05, 1.15),), 0.0),
}


def barrier(layout: Layout, line: np.ndarray, kind: str, label: int) -> None:
    """A fence, railing or wall from one point of the world to another, `line` (2, 3)."""
    material, rails, half = _BARRIERS[kind]
    ends = line[[0, 1, 1, 0]]
    up = np.array([[[0, y, 0] for y in (low, low, high, high)] for low, high in rails])
    stamp_face(layout, ends + up, label, material, tone=0.0 if half else 0.2, rough=0.2 if half else 0.7)
    if half:
        corners = line[0] + np.array([[-half, -0.3, 0], [half, -0.3, 0], [half, 1.25, 0], [-half, 1.25, 0]])
        stamp_face(layout, corners, label, material, tone=-0.15)
        return
    thick = 0.7 * np.cross(line[1] - line[0], [0, 1, 0]) / np.linalg.norm(line[1] - line[0])
    thick *= np.sign(thick @ line.mean(axis=0))  # away from the camera
    top = ends + np.array([0, rails[0][1], 0])
    top[2:] = top[1::-1] + thick
    stamp_face(layout, top, label, material, tone=0.35, rough=0.7)

"""The contest's 29 classes: their names, and a colour for each to show masks in."""

from __future__ import annotations

import functools

import numpy as np

#: Name and RGB colour of each class, by id.
_CLASSES: tuple[tuple[str, tuple[int, int, int]], ...] = (
    ("mountain", (126, 132, 150)),
    ("sky", (140, 200, 245)),
    ("water", (70, 160, 200)),
    ("sea", (20, 75, 150)),
    ("rock", (105, 98, 92)),
    ("tree", (25, 95, 45)),
    ("earth", (135, 95, 60)),
    ("hill", (150, 165, 90)),
    ("river", (85, 130, 230)),
    ("sand", (238, 216, 160)),
    ("land", (196, 164, 112)),
    ("building", (180, 70, 60)),
    ("grass", (95, 185, 70)),
    ("plant", (50, 145, 95)),
    ("person", (250, 60, 130)),
    ("boat", (255, 140, 0)),
    ("waterfall", (200, 240, 250)),
    ("wall", (165, 140, 130)),
    ("pier", (115, 65, 35)),
    ("path", (215, 190, 200)),
    ("lake", (40, 115, 190)),
    ("bridge", (150, 60, 140)),
    ("field", (220, 205, 80)),
    ("road", (75, 75, 85)),
    ("railing", (190, 190, 200)),
    ("fence", (205, 145, 85)),
    ("ship", (120, 20, 40)),
    ("house", (240, 100, 80)),
    ("other", (240, 20, 240)),
)

NAMES: tuple[str, ...] = tuple(name for name, _ in _CLASSES)
COLOURS: np.ndarray = np.array([colour for _, colour in _CLASSES], dtype=np.uint8)


def class_id(name: str) -> int:
    """Raises ValueError if no class has that name."""
    return NAMES.index(name)


def class_name(label: int) -> str:
    """The name of a class; "class N" for ids that have none."""
    return NAMES[label] if 0 <= label < len(NAMES) else f"class {label}"


def colourise(labels: np.ndarray) -> np.ndarray:
    """(H, W) class ids in 0..255 -> (H, W, 3) uint8 RGB; ids that have no name get colours too, all distinct.

    Raises ValueError on ids outside 0..255.
    """
    if labels.size and not (0 <= labels.min() and labels.max() <= 255):
        raise ValueError(f"class ids {labels.min()}..{labels.max()} are outside 0..255")
    return all_colours()[labels.astype(np.uint8)]


@functools.cache
def all_colours() -> np.ndarray:
    """(256, 3) uint8: COLOURS, then colours of our own making, each unlike all before it."""
    colours = [tuple(int(part) for part in colour) for colour in COLOURS]
    taken, position = set(colours), 0
    while len(colours) < 256:
        colour = _spread(position)
        position += 1
        if colour not in taken:
            taken.add(colour)
            colours.append(colour)
    table = np.array(colours, dtype=np.uint8)
    table.flags.writeable = False
    return table


def _spread(position: int) -> tuple[int, int, int]:
    """The position-th point of a low-discrepancy sequence in the colour cube (Halton, bases 2, 3, 5)."""
    return (_halton(position + 1, 2), _halton(position + 1, 3), _halton(position + 1, 5))


def _halton(index: int, base: int) -> int:
    """In 0..255."""
    value, share = 0.0, 1.0
    while index:
        share /= base
        value += share * (index % base)
        index //= base
    return int(value * 256)

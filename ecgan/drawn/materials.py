"""What surfaces are made of: finer than classes, so that a house can have walls, a roof and windows."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, auto

import numpy as np


class Material(IntEnum):
    SKY = 0
    WATER = auto()
    MOUNTAIN = auto()
    HILL = auto()
    ROCK = auto()
    EARTH = auto()
    SAND = auto()
    LAND = auto()
    GRASS = auto()
    CROP_A = auto()
    CROP_B = auto()
    CROP_C = auto()
    CANOPY = auto()
    PATH = auto()
    ROAD = auto()
    MARKING = auto()
    FALL = auto()
    CONIFER = auto()
    BROADLEAF = auto()
    TRUNK = auto()
    BUSH = auto()
    REED = auto()
    STONE = auto()
    PLASTER = auto()
    BRICK = auto()
    CONCRETE = auto()
    ROOF_RED = auto()
    ROOF_GREY = auto()
    WINDOW = auto()
    WOOD = auto()
    HULL_WHITE = auto()
    HULL_DARK = auto()
    SAIL = auto()
    SKIN = auto()
    CLOTH_RED = auto()
    CLOTH_BLUE = auto()
    STEEL = auto()
    STRAW = auto()


Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Look:
    """sRGB colours in summer, dark and light end of the tone; `autumn` replaces them. `tone`, `bump`: how
    strong texture is; `snow` 0..1: how much of it lies under snow in winter."""

    dark: Colour
    light: Colour
    autumn: tuple[Colour, Colour] | None = None
    tone: float = 0.5
    bump: float = 0.15
    snow: float = 0.0


_M = Material
LOOKS: dict[Material, Look] = {
    _M.SKY: Look((0, 0, 0), (0, 0, 0), tone=0, bump=0),
    _M.WATER: Look((16, 48, 66), (38, 86, 102), tone=0, bump=0),
    _M.MOUNTAIN: Look((74, 74, 80), (138, 130, 124), tone=0.45, bump=0.3, snow=1.0),
    _M.HILL: Look((72, 96, 48), (134, 142, 78), ((106, 88, 44), (158, 128, 70)), tone=0.5, bump=0.25, snow=0.9),
    _M.ROCK: Look((66, 62, 60), (142, 134, 124), tone=0.7, bump=0.75, snow=0.55),
    _M.EARTH: Look((82, 56, 36), (140, 104, 70), tone=0.6, bump=0.35, snow=0.7),
    _M.SAND: Look((186, 160, 118), (232, 212, 170), tone=0.4, bump=0.2, snow=0.45),
    _M.LAND: Look((136, 116, 72), (186, 164, 108), ((128, 100, 62), (176, 142, 92)), tone=0.6, bump=0.3, snow=0.8),
    _M.GRASS: Look((58, 84, 36), (120, 138, 70), ((100, 92, 46), (156, 138, 80)), tone=0.6, bump=0.22, snow=0.9),
    _M.CROP_A: Look((166, 142, 50), (220, 194, 92), ((110, 80, 50), (150, 114, 74)), tone=0.5, bump=0.15, snow=0.95),
    _M.CROP_B: Look((88, 122, 40), (146, 170, 70), ((140, 124, 56), (184, 160, 84)), tone=0.5, bump=0.15, snow=0.95),
    _M.CROP_C: Look((138, 112, 66), (186, 156, 98), ((96, 72, 46), (134, 104, 70)), tone=0.5, bump=0.2, snow=0.95),
    _M.CANOPY: Look((22, 50, 22), (74, 108, 44), ((110, 52, 18), (196, 122, 44)), tone=0.9, bump=0.6, snow=0.5),
    _M.PATH: Look((142, 118, 88), (190, 166, 130), tone=0.5, bump=0.2, snow=0.55),
    _M.ROAD: Look((74, 74, 78), (104, 104, 108), tone=0.35, bump=0.08, snow=0.25),
    _M.MARKING: Look((200, 200, 196), (235, 235, 230), tone=0.2, bump=0.05, snow=0.3),
    _M.FALL: Look((176, 196, 208), (246, 250, 252), tone=1.0, bump=0.05),
    _M.CONIFER: Look((10, 34, 22), (56, 92, 52), ((14, 36, 22), (66, 92, 50)), tone=1.0, bump=0, snow=0.6),
    _M.BROADLEAF: Look((24, 54, 16), (104, 142, 48), ((140, 56, 16), (226, 146, 48)), tone=1.0, bump=0, snow=0.55),
    _M.TRUNK: Look((46, 34, 26), (98, 78, 60), tone=1.0, bump=0, snow=0.1),
    _M.BUSH: Look((26, 62, 28), (112, 150, 66), ((112, 66, 26), (188, 138, 56)), tone=1.0, bump=0, snow=0.7),
    _M.REED: Look((84, 92, 36), (176, 172, 92), ((120, 92, 40), (206, 172, 100)), tone=1.0, bump=0, snow=0.3),
    _M.STONE: Look((88, 84, 80), (164, 158, 148), tone=1.0, bump=0.2, snow=0.6),
    _M.PLASTER: Look((206, 196, 176), (240, 234, 220), tone=0.4, bump=0.04),
    _M.BRICK: Look((128, 66, 48), (176, 104, 78), tone=0.6, bump=0.08),
    _M.CONCRETE: Look((136, 138, 140), (184, 186, 186), tone=0.4, bump=0.04),
    _M.ROOF_RED: Look((106, 52, 42), (150, 86, 66), tone=0.7, bump=0.1, snow=1.0),
    _M.ROOF_GREY: Look((60, 62, 70), (104, 106, 114), tone=0.7, bump=0.1, snow=1.0),
    _M.WINDOW: Look((28, 36, 46), (70, 86, 100), tone=0.4, bump=0),
    _M.WOOD: Look((82, 58, 38), (150, 114, 78), tone=0.8, bump=0.1, snow=0.35),
    _M.HULL_WHITE: Look((206, 206, 202), (244, 244, 240), tone=0.3, bump=0),
    _M.HULL_DARK: Look((36, 48, 74), (76, 92, 120), tone=0.3, bump=0),
    _M.SAIL: Look((224, 222, 212), (250, 248, 240), tone=0.3, bump=0),
    _M.SKIN: Look((160, 112, 84), (214, 164, 132), tone=0.3, bump=0),
    _M.CLOTH_RED: Look((140, 30, 34), (196, 64, 60), tone=0.4, bump=0),
    _M.CLOTH_BLUE: Look((34, 56, 110), (76, 104, 160), tone=0.4, bump=0),
    _M.STEEL: Look((120, 124, 130), (176, 180, 184), tone=0.3, bump=0),
    _M.STRAW: Look((168, 136, 62), (222, 192, 104), tone=0.9, bump=0.2, snow=0.5),
}


def table(name: str) -> np.ndarray:
    """(256,) float32 for cv2.LUT: a number of Look by the material's own."""
    values = np.zeros(256, np.float32)
    for material, look in LOOKS.items():
        values[material] = getattr(look, name)
    return values

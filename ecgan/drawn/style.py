"""Time of day, weather and season: what decides a scene's colours and nothing else."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar, get_args

import numpy as np

from ecgan.drawn.materials import LOOKS
from ecgan.drawn.noise import stream

Time = Literal["dawn", "noon", "dusk", "night"]
Weather = Literal["clear", "overcast", "haze"]
Season = Literal["summer", "autumn", "winter"]

T = TypeVar("T")

TIMES: tuple[Time, ...] = get_args(Time)
WEATHERS: tuple[Weather, ...] = get_args(Weather)
SEASONS: tuple[Season, ...] = get_args(Season)
_TIME_ODDS, _WEATHER_ODDS, _SEASON_ODDS = (0.2, 0.42, 0.24, 0.14), (0.56, 0.24, 0.2), (0.46, 0.28, 0.26)


@dataclass(frozen=True)
class Style:
    """`variation` decides what is left: where the sun stands, which clouds there are, how warm it all is."""

    time: Time = "noon"
    weather: Weather = "clear"
    season: Season = "summer"
    variation: int = 0


@dataclass(frozen=True)
class Styles:
    """Which styles a scene may have, at least one of each kind; how they stand to each other in number stays."""

    times: Sequence[Time] = TIMES
    weathers: Sequence[Weather] = WEATHERS
    seasons: Sequence[Season] = SEASONS


def pick_style(seed: int, among: Styles = Styles()) -> Style:  # noqa: B008  # it is frozen
    """The style of a scene that is given none."""
    rng = stream(seed, "style")
    return Style(
        time=_choose(rng, TIMES, _TIME_ODDS, among.times),
        weather=_choose(rng, WEATHERS, _WEATHER_ODDS, among.weathers),
        season=_choose(rng, SEASONS, _SEASON_ODDS, among.seasons),
        variation=int(rng.integers(1 << 31)),
    )


def _choose(rng: np.random.Generator, all_of_it: Sequence[T], odds: Sequence[float], among: Collection[T]) -> T:
    allowed = np.array([share if each in among else 0.0 for each, share in zip(all_of_it, odds, strict=True)])
    return all_of_it[rng.choice(len(all_of_it), p=allowed / allowed.sum())]


@dataclass(frozen=True)
class Light:
    """Colours are (3,) float32, linear RGB, 1 = white in full light.

    `sun`: direction to it or to the moon, unit vector (right, up, ahead). `sky`: horizon, middle,
    zenith. `fog`: what distance fades to; `fog_length`: metres over which 63% is gone. `cover`: share of
    the sky under cloud. `cloud`: lit and shaded colour. `exposure`: what the picture is multiplied by.
    `flat` 0..1: how much of the sun is hidden.
    """

    sun: np.ndarray
    sun_colour: np.ndarray
    ambient: np.ndarray
    sky: np.ndarray
    fog: np.ndarray
    fog_length: float
    cover: float
    cloud: np.ndarray
    exposure: float
    night: bool
    flat: float


def linear(colour: object) -> np.ndarray:
    """sRGB 0..255 -> linear 0..1, float32."""
    return ((np.asarray(colour, np.float32) / 255) ** np.float32(2.2)).astype(np.float32)


#: Per time of day, sRGB: sky at the horizon, in the middle, at the zenith; cloud lit, cloud shaded.
_SKIES: dict[Time, list[tuple[int, int, int]]] = {
    "dawn": [(255, 206, 168), (214, 190, 206), (112, 142, 196), (255, 222, 200), (168, 150, 172)],
    "noon": [(206, 228, 244), (138, 188, 234), (62, 122, 200), (255, 255, 255), (176, 188, 204)],
    "dusk": [(255, 158, 84), (226, 116, 96), (74, 66, 124), (255, 176, 112), (120, 78, 104)],
    "night": [(48, 62, 98), (24, 34, 66), (8, 14, 34), (70, 82, 112), (22, 28, 48)],
}
#: Per time of day: the sun's (or moon's) light, the sky's light on the ground.
_LIGHTS: dict[Time, tuple[tuple[float, float, float], tuple[float, float, float]]] = {
    "dawn": ((1.55, 1.02, 0.68), (0.34, 0.34, 0.46)),
    "noon": ((1.60, 1.50, 1.32), (0.42, 0.48, 0.58)),
    "dusk": ((1.70, 0.82, 0.38), (0.30, 0.25, 0.36)),
    "night": ((0.16, 0.20, 0.32), (0.075, 0.098, 0.175)),
}
_ELEVATION: dict[Time, tuple[float, float]] = {
    "dawn": (0.10, 0.30),
    "noon": (0.70, 1.15),
    "dusk": (0.06, 0.22),
    "night": (0.35, 0.70),
}


def light_of(style: Style) -> Light:
    """What the style means in numbers."""
    rng = stream(style.variation, "light")
    low, high = _ELEVATION[style.time]
    elevation, azimuth = rng.uniform(low, high), rng.uniform(-2.2, 2.2)
    sun = np.array([np.sin(azimuth) * np.cos(elevation), np.sin(elevation), np.cos(azimuth) * np.cos(elevation)])
    colours = linear(_SKIES[style.time]) * (1 + rng.uniform(-0.08, 0.08, 3)).astype(np.float32)
    sky, cloud = colours[:3], colours[3:]
    sun_colour, ambient = (np.array(colour, np.float32) for colour in _LIGHTS[style.time])
    cover, length, flat = float(rng.choice([0.0, 0.25, 0.45]) + rng.uniform(0, 0.12)), rng.uniform(7000, 16000), 0.0
    if style.weather == "overcast":
        grey = sky.mean(axis=1, keepdims=True) * np.array([0.97, 1.0, 1.05])
        sky = (0.25 * sky + 0.75 * grey) * np.array([[0.92], [0.85], [0.9]])
        cloud = (0.3 * cloud + 0.7 * cloud.mean(axis=1, keepdims=True)) * np.array([[0.8], [0.75]])
        sun_colour, ambient = sun_colour * 0.12, ambient * 1.35 + sun_colour.mean() * np.float32(0.2)
        cover, length, flat = 1.0, rng.uniform(3500, 7000), 1.0
    elif style.weather == "haze":
        sky = 0.45 * sky + 0.55 * sky[:1]
        sun_colour, ambient = sun_colour * 0.55, ambient * 1.3 + sun_colour * np.float32(0.12)
        cover, length, flat = cover * 0.3, rng.uniform(700, 1800), 0.5
    return Light(
        sun=sun.astype(np.float32),
        sun_colour=sun_colour * np.float32(rng.uniform(0.9, 1.1)),
        ambient=ambient.astype(np.float32),
        sky=sky.astype(np.float32),
        fog=(0.72 * sky[0] + 0.28 * sky[1]).astype(np.float32),
        fog_length=float(length),
        cover=cover,
        cloud=cloud.astype(np.float32),
        exposure=float(rng.uniform(0.92, 1.1)),
        night=style.time == "night",
        flat=flat,
    )


def surface_colours(style: Style) -> tuple[np.ndarray, np.ndarray]:
    """(3, 256) float32 linear: dark and light end of every material in the style's season, by its number."""
    rng = stream(style.variation, "surface")
    dark, light = np.zeros((3, 256), np.float32), np.zeros((3, 256), np.float32)
    for material, look in LOOKS.items():
        ends = np.array([look.dark, look.light], np.float32)
        if look.autumn and style.season == "autumn":
            ends = np.array(look.autumn, np.float32)
        elif look.autumn and style.season == "winter":
            # What is green in summer is withered in winter, under the snow.
            ends = np.array(look.autumn, np.float32)
            ends = np.float32(0.3) * ends + np.float32(0.55) * ends.mean(axis=1, keepdims=True)
        jitter = (1 + rng.uniform(-0.07, 0.07, 3)).astype(np.float32)
        dark[:, material], light[:, material] = linear(ends[0]) * jitter, linear(ends[1]) * jitter
    return dark, light

"""Paints a layout in a style: surfaces, snow, light, distance, water. The layout is only read.

Pictures are (3, height, width) float32 here, linear light, 1 for white: whole planes are quicker to
calculate with than triples.
"""

from __future__ import annotations

import functools

import cv2
import numpy as np

from ecgan.drawn.layout import Layout
from ecgan.drawn.materials import Material, table
from ecgan.drawn.noise import fractal_tile, smoothstep
from ecgan.drawn.sky import cosine_to_sun, paint_sky
from ecgan.drawn.style import Light, Style, light_of, surface_colours

_TONES, _SNOWS = table("tone"), table("snow")
_LAMP = np.array([1.0, 0.62, 0.22], np.float32)
#: Dark and light end of snow's tone.
_SNOW = np.array([[0.46, 0.53, 0.64], [0.80, 0.82, 0.85]], np.float32)


def paint(layout: Layout, style: Style) -> np.ndarray:
    """(height, width, 3) uint8 RGB."""
    light = light_of(style)
    toward_sun = cosine_to_sun(layout.camera, light)
    sky = paint_sky(layout.camera, style, light, toward_sun)
    picture = _shade(layout, style, light)
    _add_distance(picture, layout, light, toward_sun)
    np.copyto(picture, sky, where=layout.material == Material.SKY)
    if (layout.material == Material.WATER).any():
        _add_water(picture, sky, layout, style, light)
    return _develop(_softened(picture, layout), light)


def _shade(layout: Layout, style: Style, light: Light) -> np.ndarray:
    """Surface colour times light."""
    material = layout.material
    dark, bright = surface_colours(style)
    tone = np.clip(0.5 + layout.tone * cv2.LUT(material, _TONES), 0, 1)
    right, up, near = layout.normal
    snow = _snow(layout, style, tone)
    sun = np.clip(right * light.sun[0] + up * light.sun[1] - near * light.sun[2], 0, 1) * layout.shade
    ambient = (0.62 + 0.38 * up) * layout.shade
    picture = np.empty((3, *material.shape), np.float32)
    lamps = material == Material.WINDOW
    for channel, plane in enumerate(picture):
        low = cv2.LUT(material, dark[channel])
        plane[:] = low + (cv2.LUT(material, bright[channel]) - low) * tone
        if snow is not None:
            low, high = _SNOW[:, channel]
            plane += (low + (high - low) * tone - plane) * snow
        plane *= sun * light.sun_colour[channel] + ambient * light.ambient[channel]
        if light.night:
            plane[lamps] = _LAMP[channel]
    return picture


def _snow(layout: Layout, style: Style, tone: np.ndarray) -> np.ndarray | None:
    """(height, width) share under snow; None if there is none. On high mountains all year, elsewhere in winter."""
    plan, up = layout.plan, layout.normal[1]
    if style.season == "winter":
        share = cv2.LUT(layout.material, _SNOWS)
        lies = smoothstep(0.35, 0.75, up + 0.35 * (tone - 0.5))
        return share * np.clip(lies * (0.45 + 1.1 * share), 0, 1)
    if plan.mountains < 650:
        return None
    line = plan.mountains * (0.62 if style.season == "summer" else 0.48)
    high = smoothstep(
        -0.14, 0.14, (layout.altitude - np.float32(line)) / np.float32(plan.mountains) + 0.12 * (tone - 0.5)
    )
    lies = high * smoothstep(0.3, 0.7, up + 0.4 * (tone - 0.5))
    return lies * (layout.material == Material.MOUNTAIN)


def _add_distance(picture: np.ndarray, layout: Layout, light: Light, toward_sun: np.ndarray) -> None:
    """Air between camera and surface: the colour of the horizon, brighter towards the sun."""
    lost = 1 - np.exp(layout.depth * np.float32(-1 / light.fog_length))
    glow = np.clip(toward_sun, 0, 1) ** 6 * np.float32((1 - light.flat) * (0.04 if light.night else 0.1))
    for channel, plane in enumerate(picture):
        plane += (light.fog[channel] + glow * light.sun_colour[channel] - plane) * lost


def _add_water(picture: np.ndarray, sky: np.ndarray, layout: Layout, style: Style, light: Light) -> None:
    """The colour of the water's body, of the ground under shallow water, and of what the surface mirrors."""
    sea = layout.plan.kind == "coast"
    top = int(np.argmax((layout.material == Material.WATER).any(axis=1)))
    wet, depth, ripple, shore = (
        part[top:] for part in (layout.material == Material.WATER, layout.depth, layout.ripple, layout.shore)
    )
    mirrored = _mirrored(picture, sky, layout, top, rough=1.5 if sea else 0.32)
    # Steeper looks see into the water; on the sea's waves even the flattest do.
    steep = np.clip(
        np.float32(layout.plan.eye) / depth * (1 + np.float32(0.6 if sea else 0.25) * ripple) + (0.16 if sea else 0),
        0,
        1,
    )
    shows = 0.1 + 0.82 * (1 - steep) ** 3
    if sea:
        shows *= 0.8 + 0.25 * np.clip(ripple, -1, 1)
    clear = smoothstep(-0.5 * layout.plan.eye, 0, shore) * np.float32(0.6)
    foam = _foam(layout, top) if sea else np.zeros_like(depth)
    lost = 1 - np.exp(depth * np.float32(-0.6 / light.fog_length))
    dark, bright = surface_colours(style)
    high = light.sun_colour * max(float(light.sun[1]), 0.15)
    for channel, plane in enumerate(picture):
        body = bright[channel, Material.WATER] * (1.1 * light.ambient[channel] + 0.35 * high[channel])
        bed = dark[channel, Material.SAND if sea else Material.EARTH] * (light.ambient[channel] + 0.6 * high[channel])
        water = body + (bed - body) * clear
        water += (mirrored[..., channel] - water) * shows
        water += (0.8 * (light.ambient[channel] + high[channel]) - water) * foam
        water += (light.fog[channel] - water) * lost
        np.copyto(plane[top:], water, where=wet)


def _foam(layout: Layout, top: int) -> np.ndarray:
    """(height - top, width) 0..1: breaking waves along the shore, white caps farther out."""
    shore, ripple = layout.shore[top:], layout.ripple[top:]
    size = np.float32(0.5 * layout.plan.eye)
    band = np.sin(shore / size * np.float32(5) + ripple) * np.exp(np.minimum(shore, 0) / size / np.float32(1.3))
    breaking = smoothstep(0.25, 0.7, band + np.float32(0.12) * ripple) + smoothstep(-0.12, -0.02, shore / size)
    caps = smoothstep(2.3, 3.0, ripple) * np.float32(0.4)
    return np.clip(breaking + caps, 0, 1) * np.float32(0.85)


def _mirrored(picture: np.ndarray, sky: np.ndarray, layout: Layout, top: int, rough: float) -> np.ndarray:
    """(height - top, width, 3): what the water's surface shows, stretched and broken by ripples."""
    camera = layout.camera
    height, width = layout.labels.shape
    source = layout.mirror[top:]
    columns, rows = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(len(source), dtype=np.float32))
    both = cv2.merge(list(np.concatenate([picture, sky], axis=1)))
    still = cv2.remap(both, columns, source - np.float32(0.5), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    shift = layout.ripple[top:] * np.float32(rough * height / 384 * 3.2)
    shift *= np.clip((camera.rows[top:] - np.float32(camera.horizon)) / np.float32(0.1 * height), 0.1, 1.5)
    columns += shift * np.float32(0.35)
    rows += shift
    return cv2.remap(still, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _softened(picture: np.ndarray, layout: Layout) -> np.ndarray:
    """(height, width, 3): blurred by a pixel where materials meet, as by a lens; the mask's edge is in the middle."""
    material = layout.material
    merged = cv2.merge(list(picture))
    edge = cv2.dilate(material, np.ones((3, 3), np.uint8)) != cv2.erode(material, np.ones((3, 3), np.uint8))
    merged[edge] = cv2.GaussianBlur(merged, (3, 3), 0.6)[edge]
    return merged


def _develop(picture: np.ndarray, light: Light) -> np.ndarray:
    """(height, width, 3) linear light -> uint8 sRGB by a film's curve, with a little grain."""
    height, width = picture.shape[:2]
    grain = fractal_tile("grain", 0.2, 40)
    repeats = (-(-height // len(grain)), -(-width // len(grain)))
    grain = np.tile(grain, repeats)[:height, :width] * np.float32(0.018 * light.exposure) + np.float32(light.exposure)
    index = cv2.sqrt(cv2.multiply(np.maximum(picture, 0), cv2.merge([grain] * 3)))
    return _film()[np.minimum(index * np.float32(1024), 4095).astype(np.int16)]


@functools.cache
def _film() -> np.ndarray:
    """(4096,) uint8 by 1024 times the square root of the light: straight at first, then a soft shoulder."""
    x = (np.arange(4096) / 1024) ** 2
    curve = np.where(x < 0.5, x, 0.5 + 0.5 * (1 - np.exp(-(x - 0.5) / 0.5)))
    return np.clip(curve ** (1 / 2.2) * 255 + 0.5, 0, 255).astype(np.uint8)

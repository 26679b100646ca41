"""Paints the sky: gradient, sun or moon, stars, clouds. Colours are linear, pictures (3, height, width) float32."""

from __future__ import annotations

import numpy as np

from ecgan.drawn.camera import Camera
from ecgan.drawn.noise import fractal_tile, sample, smoothstep, stream
from ecgan.drawn.style import Light, Style


def paint_sky(camera: Camera, style: Style, light: Light, toward_sun: np.ndarray) -> np.ndarray:
    """The sky as if nothing stood before it; below the horizon the horizon's colour goes on.

    `toward_sun`: what `cosine_to_sun` gives.
    """
    sky = _gradient(camera, light)
    _add_sun(sky, light, toward_sun)
    if light.night and not light.flat:
        _add_stars(sky, camera, style)
    if light.cover > 0.02:
        _add_clouds(sky, camera, style, light, toward_sun)
    return sky


def cosine_to_sun(camera: Camera, light: Light) -> np.ndarray:
    """(height, width) float32: of the angle between each pixel's ray and the sun."""
    up = (camera.horizon - camera.rows) / np.float32(camera.focal)
    length = np.sqrt(1 + up**2 + camera.tangent**2)
    return (camera.tangent * light.sun[0] + up * light.sun[1] + light.sun[2]) / length


def _gradient(camera: Camera, light: Light) -> np.ndarray:
    height = np.clip((camera.horizon - camera.rows[:, 0]) / np.float32(0.62 * camera.height), 0, 1)
    position = 0.5 * np.sqrt(height) + 0.5 * height
    rows = np.stack([np.interp(position, [0, 0.34, 1], light.sky[:, channel]) for channel in range(3)])
    return np.repeat(rows[..., None].astype(np.float32), camera.width, axis=2)


def _add_sun(sky: np.ndarray, light: Light, toward_sun: np.ndarray) -> None:
    angle = np.sqrt(np.maximum(2 - 2 * toward_sun, 0))
    colour = light.sun_colour / light.sun_colour.max()
    strength = np.float32((1 - 0.9 * light.flat) * (0.12 if light.night else 0.75))
    close = np.exp(angle * np.float32(-5.5))
    glow = (0.55 * close + 0.6 * close * close * close) * strength
    radius = np.float32(0.03 if light.night else 0.024)
    bright = np.float32((0.85 if light.night else 2.2) * (1 - 0.4 * light.flat) * (light.flat < 1))
    disc = smoothstep(0, 0.1, (radius - angle) / radius) * bright
    for channel in range(3):
        sky[channel] += glow * colour[channel] + disc * (0.6 * colour[channel] + np.float32(0.4))


def _add_stars(sky: np.ndarray, camera: Camera, style: Style) -> None:
    rng = stream(style.variation, "stars")
    count = 260
    columns = (rng.random(count) * camera.width).astype(int)
    rows = (rng.random(count) ** 1.4 * camera.horizon).astype(int)
    sky[:, rows, columns] += (0.08 + 0.75 * rng.random(count) ** 4).astype(np.float32)


def _add_clouds(sky: np.ndarray, camera: Camera, style: Style, light: Light, toward_sun: np.ndarray) -> None:
    """A layer overhead: its noise is sampled where each ray meets it, so clouds shrink towards the horizon."""
    rng = stream(style.variation, "clouds")
    last = int(np.ceil(camera.horizon))
    up = np.maximum(camera.horizon - camera.rows[:last], 0.5) / np.float32(camera.height)
    # A bent layer: it stays above the horizon, and clouds there are not smeared into lines.
    far = np.float32(0.2) / (up + np.float32(0.13))
    scale = np.float32(rng.uniform(0.55, 1.0))
    u = camera.tangent * np.float32(1.3 * camera.focal / camera.height) * far * scale + np.float32(rng.random())
    v = far * scale * np.float32(2.4) + np.float32(rng.random())
    tile = fractal_tile("clouds", 1.5, 2)
    density = sample(tile, u, v)
    toward = sample(tile, u - np.float32(0.012) * np.sign(light.sun[0]), v - np.float32(0.02))
    threshold = np.float32(np.interp(light.cover, [0, 0.3, 0.6, 1], [2.2, 0.75, 0.1, -2.6]))
    soft = 0.9 if light.flat < 1 else 2.4
    alpha = smoothstep(0, soft, density - threshold) * smoothstep(0.0, 0.12, up) * np.float32(0.94)
    relief = 0.55 if light.flat < 1 else 0.22
    lit = np.clip(0.62 + (density - toward) * np.float32(relief) - (density - threshold) * np.float32(0.15), 0, 1)
    glow = np.clip(toward_sun[:last], 0, 1) ** 12 * np.float32((0.05 if light.night else 0.35) * (light.flat < 1))
    for channel in range(3):
        part = sky[channel, :last]
        bright, dim = light.cloud[:, channel]
        part += (dim + (bright - dim) * lit + glow * light.sun_colour[channel] - part) * alpha

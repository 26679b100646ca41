"""Random streams, and periodic noise tiles that every texture and relief is sampled from."""

from __future__ import annotations

import functools
import hashlib

import cv2
import numpy as np

#: Side of a noise tile in samples; one period.
TILE = 512


def stream(*key: object) -> np.random.Generator:
    """A generator of its own for each key, whatever else has been drawn before."""
    digest = hashlib.sha256("/".join(str(part) for part in key).encode()).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "little")))


@functools.cache
def fractal_tile(name: str, slope: float, low: float, high: float = TILE / 2) -> np.ndarray:
    """(TILE, TILE) float32, mean 0, deviation 1: white noise of its own per `name`, filtered to 1/k**slope.

    Made in the frequency domain, so it is periodic and has no grid to be seen. `low`, `high`:
    the band in waves per period.
    """
    white = stream("tile", name).standard_normal((TILE, TILE))
    k = np.hypot(np.fft.fftfreq(TILE, 1 / TILE)[:, None], np.fft.rfftfreq(TILE, 1 / TILE)[None, :])
    gain = np.where((k >= low) & (k <= high), np.maximum(k, 1) ** -slope, 0)
    field = np.fft.irfft2(np.fft.rfft2(white) * gain, s=(TILE, TILE))
    return (field / field.std()).astype(np.float32)


@functools.cache
def ridged_tile(name: str) -> np.ndarray:
    """(TILE, TILE) float32 in 0..1: crests where octaves of noise cross zero; valleys stay smooth."""
    total, weight = np.zeros((TILE, TILE), np.float32), np.float32(1)
    for octave, strength in enumerate((1.0, 0.62, 0.32, 0.16, 0.085, 0.045)):
        low = 1.6 * 2**octave
        band = fractal_tile(f"{name}/{octave}", 1.0, low, 2.2 * low)
        crest = 1 - np.minimum(np.abs(band) * 0.62, 1)
        total = total + crest * weight * strength
        weight = np.clip(total * 0.75, 0.1, 1)
    low, high = np.quantile(total, [0.02, 0.999])
    return np.clip((total - low) / (high - low), 0, 1.05).astype(np.float32)


@functools.cache
def detail_tile() -> np.ndarray:
    """(TILE, TILE, 3) float32: a fine tone of deviation 1, and its slopes along u and v, deviation 1 each."""
    tone = fractal_tile("detail", 1.25, 3, 160)
    slopes = [np.roll(tone, -1, axis) - np.roll(tone, 1, axis) for axis in (1, 0)]
    return np.dstack([tone, *(slope / slope.std() for slope in slopes)]).astype(np.float32)


def sample(tile: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """`tile` at `u`, `v` in periods (they broadcast together), float32, bilinear, wrapped."""
    # Wrapped by hand first: remap's own coordinates are 16-bit.
    columns, rows = np.broadcast_arrays((u - np.floor(u)) * TILE, (v - np.floor(v)) * TILE)
    columns, rows = (np.ascontiguousarray(axis, dtype=np.float32) for axis in (columns, rows))
    return cv2.remap(tile, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)


def waves(key: str, x: np.ndarray, z: np.ndarray, length: float, count: int = 5) -> np.ndarray:
    """Smooth noise of deviation about 1: plane waves around `length` in all directions. Never shows samples.

    Large arrays must be grids, in which x and z change smoothly: it is calculated at a few of their points.
    """
    shape = np.broadcast_shapes(x.shape, z.shape)
    coarse = shape[0] >= 64 and shape[1] >= 64
    if coarse:
        size = (shape[1] // 4, shape[0] // 2)
        x = cv2.resize(np.broadcast_to(x, shape).astype(np.float32), size, interpolation=cv2.INTER_AREA)
        z = cv2.resize(np.broadcast_to(z, shape).astype(np.float32), size, interpolation=cv2.INTER_AREA)
    total = np.zeros(np.broadcast_shapes(x.shape, z.shape), np.float32)
    for across, ahead, phase in _wave_numbers(key, count):
        total += np.sin(x * (across / np.float32(length)) + z * (ahead / np.float32(length)) + phase)
    total *= np.float32((2 / count) ** 0.5)
    return cv2.resize(total, shape[::-1], interpolation=cv2.INTER_CUBIC) if coarse else total


@functools.lru_cache(maxsize=64)
def _wave_numbers(key: str, count: int) -> np.ndarray:
    """(count, 3) float32: wave numbers along x and z for a length of 1, phase."""
    turn, stretch, phase = 2 * np.pi * stream("waves", key).random((3, count))
    k = 2 * np.pi / 2 ** (1.6 * stretch / (2 * np.pi) - 0.8)
    return np.stack([k * np.cos(turn), k * np.sin(turn), phase], axis=1).astype(np.float32)


def smoothstep(low: float, high: float, x: np.ndarray) -> np.ndarray:
    """0 below `low`, 1 above `high`, smooth between."""
    t = np.clip((x - np.float32(low)) * np.float32(1 / (high - low)), 0, 1)
    return t * t * (3 - 2 * t)

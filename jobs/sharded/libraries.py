"""Versions of what computes: part of what decides a picture or a measurement to the bit."""

from __future__ import annotations

from importlib import metadata

_LIBRARIES = ("jittor", "onednn-cpu-gomp", "numpy", "pillow", "opencv-python-headless")


def versions() -> dict[str, str]:
    return {name: metadata.version(name) for name in _LIBRARIES}

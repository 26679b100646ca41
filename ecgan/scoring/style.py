"""Style: correlation of the colour histograms of a picture and of its reference.

The contest names OpenCV's correlation and neither colour space nor bins, so all that are usual are here by name.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

import cv2
import numpy as np

from ecgan.scoring.reading import Reading

Variant = Literal["rgb", "hsv", "hue"]
VARIANTS: tuple[Variant, ...] = get_args(Variant)
#: The one that counts in the total: it sees everything of a colour.
DEFAULT: Variant = VARIANTS[0]


class _Histogram(NamedTuple):
    """Of 8-bit values as OpenCV has them: hue in 0..179, all else in 0..255; counts, not shares."""

    conversion: int | None
    channels: list[int]
    bins: list[int]
    ranges: list[float]


_HISTOGRAMS: dict[Variant, _Histogram] = {
    "rgb": _Histogram(None, [0, 1, 2], [16, 16, 16], [0, 256] * 3),
    "hsv": _Histogram(cv2.COLOR_RGB2HSV, [0, 1, 2], [8, 3, 3], [0, 180, 0, 256, 0, 256]),
    "hue": _Histogram(cv2.COLOR_RGB2HSV, [0], [180], [0, 180]),
}


def compare(picture: np.ndarray, reference: np.ndarray) -> dict[Variant, Reading]:
    """Every variant, in -1..1, of two pictures (H, W, 3) uint8 RGB, whose sizes may differ."""
    return {variant: _compare(picture, reference, variant) for variant in VARIANTS}


def _compare(picture: np.ndarray, reference: np.ndarray, variant: Variant) -> Reading:
    for name, image in (("the picture", picture), ("the reference", reference)):
        if (image == image[:1, :1]).all():
            return Reading(None, f"{name} is of a single colour")
        if variant == "hue" and (image == image[..., :1]).all():
            return Reading(None, f"{name} is grey and has no hue")
    one, other = (_histogram(image, _HISTOGRAMS[variant]) for image in (picture, reference))
    if not one.std() or not other.std():  # OpenCV would say 1
        return Reading(None, "every colour is equally frequent")
    return Reading(float(cv2.compareHist(one, other, cv2.HISTCMP_CORREL)))


def _histogram(image: np.ndarray, form: _Histogram) -> np.ndarray:
    """(bins,) float32. Flat, because OpenCV takes the last of three dimensions for channels, and its correlation
    then divides by the number of bins without them: not the correlation, and at times the root of a negative."""
    colours = image if form.conversion is None else cv2.cvtColor(image, form.conversion)
    return cv2.calcHist([colours], form.channels, None, form.bins, form.ranges).ravel()

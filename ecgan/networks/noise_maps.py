"""Noise that G makes grain of: a number for each pixel of each of its resolutions.

Where a mask has one class far and wide, pixels beside each other look alike to G, and it can paint no grain there. It
adds noise to its maps as StyleGAN (Karras et al. 2019) and, with SPADE, SEAN (Zhu et al. 2020) do, as much of it as it
learns to.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from ecgan.noise import generator_for
from ecgan.runtime import jt

#: A picture's random numbers for a purpose, which is a part of their key.
Draw = Callable[[str], np.random.Generator]


class NoiseMaps:
    """Of N pictures, whose noise comes from `draws`, each its own. Only what is asked for is drawn."""

    def __init__(self, draws: Sequence[Draw]) -> None:
        self._draws = draws
        self._maps: dict[tuple[int, int], jt.Var] = {}

    @classmethod
    def of(cls, seeds: Sequence[int], names: Sequence[str]) -> NoiseMaps:
        """Of finished pictures: seed and name of each fix its noise."""
        return cls([partial(generator_for, *each, "noise map") for each in zip(seeds, names, strict=True)])

    def at(self, height: int, width: int) -> jt.Var:
        """(N, 1, height, width) float32, standard normal."""
        if (size := (height, width)) not in self._maps:
            randoms = [draw(f"{width}x{height}") for draw in self._draws]
            drawn = np.stack([random.standard_normal((1, *size), dtype=np.float32) for random in randoms])
            self._maps[size] = jt.array(drawn).stop_grad()
        return self._maps[size]


def needed(noise_maps: NoiseMaps | None) -> NoiseMaps:
    """What a G that adds noise was given; one that does not needs none."""
    assert noise_maps is not None, "this G adds noise to its maps"
    return noise_maps

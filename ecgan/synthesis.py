"""Masks and references in, pictures out: E, the noise, G and colour transfer in one object.

docs/specification.md, section 4.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ecgan.checkpoint import Checkpoint
from ecgan.colour import ColourTransfer, transfer_lab
from ecgan.config import Spade
from ecgan.data.images import Size, resize_mask, resize_photo
from ecgan.networks import Encoder, load_arrays
from ecgan.networks.noise_maps import NoiseMaps
from ecgan.networks.painting import painting_network
from ecgan.noise import style_noise
from ecgan.runtime import jt
from ecgan.runtime.precision import PrecisionChoice, choose_precision


class Synthesiser:
    """A generator and style encoder in evaluation mode, loaded from a checkpoint once, used many times.

    `spade`: "exact-sparse" computes what depends on the mask alone once for each distinct
    surrounding, "dense" at every pixel; the difference is rounding. `precision`: what G's convolutions multiply in;
    raises UserError if that can't be had.
    """

    def __init__(
        self, checkpoint: Checkpoint, spade: Spade = "exact-sparse", precision: PrecisionChoice = "float32"
    ) -> None:
        self.model = checkpoint.model
        chosen = choose_precision(precision, "cuda" if jt.flags.use_cuda else "cpu", spade)
        self.encoder = Encoder(self.model)
        load_arrays(self.encoder, checkpoint.arrays("E"), f"network E of {checkpoint.path}")
        self.encoder.eval()
        arrays = checkpoint.arrays(checkpoint.generator)
        what = f"network G of {checkpoint.path}"
        self.generator, self.mask = painting_network(self.model, arrays, spade, what, chosen)
        #: The masks generated from last, and all that was computed for them: the next may be the same.
        self._last: tuple[bytes, Any] | None = None

    @property
    def size(self) -> Size:
        """(width, height) at which the network runs."""
        return self.model.width, self.model.height

    def paint(
        self,
        masks: list[np.ndarray],
        references: list[np.ndarray],
        names: list[str],
        seed: int = 0,
        noise: float = 1.0,
        colour_transfer: ColourTransfer = "lab",
    ) -> list[np.ndarray]:
        """One picture for each mask, (height, width, 3) uint8 RGB at the network's size.

        `masks`: (H, W) uint8 class ids; `references`: (H, W, 3) uint8 RGB; both are resized as need
        be. The style code is mu + noise * exp(logvar / 2) * eps, eps fixed by `seed` and the name, as are noise maps
        of a model that has them, which `noise` does not scale.
        On the CPU a picture does not depend on the others in the list; on a GPU up to rounding.
        """
        masks = [resize_mask(mask, self.size) for mask in masks]
        references = [resize_photo(reference, self.size) for reference in references]
        raw = self.generate(np.stack(masks), np.stack(references), names, [seed] * len(names), noise)
        return [self.finish(*pair, colour_transfer) for pair in zip(raw, references, strict=True)]

    def generate(
        self, masks: np.ndarray, references: np.ndarray, names: list[str], seeds: list[int], noise: float
    ) -> np.ndarray:
        """The networks alone: image2 as (N, 3, height, width) float32 in (-1, 1).

        `masks`: (N, height, width) uint8; `references`: (N, height, width, 3) uint8; at the network's size. `names` and
        `seeds` fix the noise of each.
        On the CPU each picture is finished before the next is begun. Of two that wait for each other Jittor makes
        one graph, whose operators it fuses in other ways, and those round otherwise; nor would they be any faster.
        On a GPU all N go together.
        """
        together = len(names) if jt.flags.use_cuda else 1
        parts = [slice(first, first + together) for first in range(0, len(names), together)]
        return np.concatenate(
            [self._generate_together(masks[part], references[part], names[part], seeds[part], noise) for part in parts]
        )

    def _generate_together(
        self, masks: np.ndarray, references: np.ndarray, names: list[str], seeds: list[int], noise: float
    ) -> np.ndarray:
        """What `generate` gives, of masks that go through the generator together."""
        eps = np.stack([style_noise(*each, self.model.z_dim) for each in zip(seeds, names, strict=True)])
        mu, logvar = self.encode(references)
        key = masks.tobytes()
        before, self._last = self._last, None  # kept if the picture is finished: what one has begun and left is not
        mask = before[1] if before and before[0] == key else self.mask(masks)
        with jt.no_grad():
            z = jt.array(mu + np.float32(noise) * np.exp(logvar / 2) * eps)
            raw = self.generator(z, mask, NoiseMaps.of(seeds, names)).image2.numpy()
        self._last = key, mask
        return raw

    @staticmethod
    def finish(raw: np.ndarray, reference: np.ndarray, colour_transfer: ColourTransfer) -> np.ndarray:
        """What follows the networks: (3, H, W) float32 -> (H, W, 3) uint8 RGB in the reference's colours."""
        picture = to_uint8(raw)
        return transfer_lab(picture, reference) if colour_transfer == "lab" else picture

    def encode(self, photos: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """mu and logvar, each (N, z_dim) float32, of photos (N, H, W, 3) uint8 RGB.

        Each photo is finished before the next is begun, on any device: the encoder is cheap.
        """
        with jt.no_grad():
            codes = [[code.numpy() for code in self.encoder(jt.array(to_network(photo[None])))] for photo in photos]
        mu, logvar = (np.concatenate(of_all) for of_all in zip(*codes, strict=True))
        return mu, logvar


def to_network(photos: np.ndarray) -> np.ndarray:
    """(N, H, W, 3) uint8 -> (N, 3, H, W) float32 in [-1, 1]."""
    return np.ascontiguousarray(photos.transpose(0, 3, 1, 2), dtype=np.float32) / 255 * 2 - 1


def to_uint8(picture: np.ndarray) -> np.ndarray:
    """(3, H, W) float32 in [-1, 1] -> (H, W, 3) uint8, truncated as in the original."""
    return np.clip((picture.transpose(1, 2, 0) + 1) / 2 * 255, 0, 255).astype(np.uint8)

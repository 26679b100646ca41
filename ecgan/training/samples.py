"""Pictures of a model in training, to be looked at: a few fixed pairs, painted as generation would."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ecgan.config import ModelConfig
from ecgan.data.trainset import Pair
from ecgan.networks import Encoder, Generator, Pictures, Segmap
from ecgan.networks.noise_maps import NoiseMaps
from ecgan.palette import colourise
from ecgan.runtime import jt
from ecgan.synthesis import to_network, to_uint8
from ecgan.training.loader import LoadedSample, load_sample
from ecgan.training.sampler import Sample

HEADINGS = ("mask", "photo = reference", "its edge map", "edge", "image", "image2")


def choose(pairs: Sequence[Pair], count: int, model: ModelConfig) -> list[LoadedSample]:
    """`count` pairs spread evenly over the set, not flipped, with their mean style."""
    count = min(count, len(pairs))
    chosen = [pairs[i * len(pairs) // count] for i in range(count)]
    return [load_sample(pair, Sample(0, 0, False), model, seed=0) for pair in chosen]


def paint(
    generator: Generator, encoder: Encoder, segmap: Callable[[LoadedSample], Segmap], samples: Sequence[LoadedSample]
) -> list[list[np.ndarray]]:
    """A row of (H, W, 3) uint8 pictures for each sample, in the order of HEADINGS. Both networks are in evaluation.

    `segmap` makes of a sample's mask what the networks see.
    """
    rows = []
    for sample in samples:
        pictures = paint_one(generator, encoder, sample.photo, segmap(sample), sample.name)
        edge, image, image2 = (
            to_uint8(picture.numpy()[0]) for picture in (pictures.edge, pictures.image, pictures.image2)
        )
        real_edge = np.repeat(sample.edge[..., None], 3, axis=2)
        rows.append([colourise(sample.labels), sample.photo, real_edge, edge, image, image2])
    return rows


def paint_one(generator: Generator, encoder: Encoder, reference: np.ndarray, segmap: Segmap, name: str) -> Pictures:
    """What G makes of one mask, called `name`, in the mean style of `reference`, (H, W, 3) uint8 RGB. Both networks are
    in evaluation. One by one, as generation paints by default: the same operators, compiled once."""
    with jt.no_grad():
        mu, _ = encoder(jt.array(to_network(reference[None])))
        return generator(mu, segmap, NoiseMaps.of([0], [name]))

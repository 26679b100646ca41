"""Pictures of a model in training, to be looked at: a few fixed pairs, painted as generation would."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ecgan.config import ModelConfig
from ecgan.data.trainset import Pair
from ecgan.networks import Encoder, Generator, Segmap
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
    with jt.no_grad():
        for sample in samples:  # one by one, as generation does by default: the same operators, compiled once
            mu, _ = encoder(jt.array(to_network(sample.photo[None])))
            pictures = generator(mu, segmap(sample), NoiseMaps.of([0], [sample.name]))
            edge, image, image2 = (
                to_uint8(picture.numpy()[0]) for picture in (pictures.edge, pictures.image, pictures.image2)
            )
            real_edge = np.repeat(sample.edge[..., None], 3, axis=2)
            rows.append([colourise(sample.labels), sample.photo, real_edge, edge, image, image2])
    return rows

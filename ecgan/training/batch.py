"""What a step learns from: the samples that go through the networks together, as these take them.

docs/specification.md, section 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from ecgan.config import ModelConfig, Spade
from ecgan.networks import Segmap
from ecgan.networks.generator import Pictures
from ecgan.networks.noise_maps import NoiseMaps
from ecgan.runtime import jt
from ecgan.synthesis import to_network
from ecgan.training import segmentation_adversarial
from ecgan.training.augment import Views
from ecgan.training.contrast import Compared
from ecgan.training.loader import LoadedSample
from ecgan.training.recipe import Augmentation

#: Whose step it is.
Side = Literal["G", "D"]


class Batch(NamedTuple):
    """`segmap`: N masks; `photo`, `edge`: (N, 3, H, W) in [-1, 1]; `noise`: the eps of the style codes, (N, z_dim)
    for the G step and as many for the D step, whose fakes are painted anew unless `painted` has them already;
    `noise_maps`: likewise, for a model that has them.

    `parts`: into how many equal parts, on all ranks together, the step's batch is cut, of which this is one; the loss
    of the step is the mean over the parts. `views`: how D sees it in the G step and in the D step, if not as it is.
    `r1_noise`: (N, 3, H, W) standard normal for photo and edge, where R1 counts. `anchors`: LeCam's, where that counts.
    `balance`, `regions`: (N, 1, H, W), how much each pixel counts to a segmentation discriminator, and what is real in
    the mixtures that it sees (`ecgan.training.segmentation_adversarial`), where there is one. `compared`: pixels of G's
    features, where classes are contrasted (`ecgan.training.contrast`).
    """

    segmap: Segmap
    photo: jt.Var
    edge: jt.Var
    noise: tuple[jt.Var, jt.Var]
    noise_maps: tuple[NoiseMaps, NoiseMaps]
    parts: int = 1
    painted: Pictures | None = None
    views: tuple[Views, Views] | None = None
    r1_noise: tuple[jt.Var, jt.Var] | None = None
    anchors: tuple[jt.Var, jt.Var] | None = None
    balance: jt.Var | None = None
    regions: jt.Var | None = None
    compared: Compared | None = None

    @classmethod
    def of(
        cls,
        samples: Sequence[LoadedSample],
        classes: int,
        spade: Spade = "exact-sparse",
        parts: int = 1,
        augment: Sequence[Augmentation] = (),
        with_r1: bool = False,
        shares: np.ndarray | None = None,
        mixes: bool = False,
        contrasted: ModelConfig | None = None,
    ) -> Batch:
        """`shares`: of the classes in the whole step's batch, for a segmentation discriminator, if there is one; it
        sees mixtures, too, if it `mixes`. `contrasted`: the model, where classes are contrasted in G's features."""
        labels = np.stack([sample.labels for sample in samples])
        edges = np.stack([np.repeat(sample.edge[..., None], 3, axis=2) for sample in samples])
        return cls(
            Segmap(labels, classes, spade == "exact-sparse"),
            _fixed(to_network(np.stack([sample.photo for sample in samples]))),
            _fixed(to_network(edges)),
            (_fixed(np.stack([s.noise[0] for s in samples])), _fixed(np.stack([s.noise[1] for s in samples]))),
            (_noise_maps(samples, "G"), _noise_maps(samples, "D")),
            parts,
            views=(_views(samples, augment, "G"), _views(samples, augment, "D")) if augment else None,
            r1_noise=(_r1_noise(samples, "photo"), _r1_noise(samples, "edge")) if with_r1 else None,
            balance=None if shares is None else _fixed(segmentation_adversarial.balance(labels, shares)),
            regions=_regions(samples) if mixes else None,
            compared=None if contrasted is None else _compared(samples, labels, contrasted),
        )


def _views(samples: Sequence[LoadedSample], kinds: Sequence[Augmentation], step: Side) -> Views:
    height, width = samples[0].labels.shape
    return Views(kinds, [sample.generator("augment", step) for sample in samples], (height, width))


def _noise_maps(samples: Sequence[LoadedSample], step: Side) -> NoiseMaps:
    return NoiseMaps([sample.noise_map_generators(step) for sample in samples])


def _r1_noise(samples: Sequence[LoadedSample], picture: str) -> jt.Var:
    draws = [sample.generator("R1", picture) for sample in samples]
    shape = (3, *samples[0].labels.shape)
    return _fixed(np.stack([random.standard_normal(shape, dtype=np.float32) for random in draws]))


def _regions(samples: Sequence[LoadedSample]) -> jt.Var:
    labels, draws = zip(*((sample.labels, sample.generator("labelmix", "D")) for sample in samples), strict=True)
    return _fixed(segmentation_adversarial.regions(labels, draws))


def _compared(samples: Sequence[LoadedSample], labels: np.ndarray, model: ModelConfig) -> Compared:
    return Compared.of(labels, model, [sample.generator("contrast", "G") for sample in samples])


def _fixed(values: np.ndarray) -> jt.Var:
    return jt.array(values).stop_grad()

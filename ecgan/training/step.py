"""One training step: G and E learn from what D says, then D from pictures generated anew (SPEC section 3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ecgan.networks import Discriminator, Encoder, Generator, Segmap
from ecgan.networks.generator import Pictures
from ecgan.networks.vgg import VGG19Features
from ecgan.runtime import jt
from ecgan.synthesis import to_network
from ecgan.training import losses
from ecgan.training.loader import LoadedSample
from ecgan.training.losses import Verdict
from ecgan.training.perceptual import perceptual
from ecgan.training.recipe import LossWeights


class Batch(NamedTuple):
    """`segmap`: N masks; `photo`, `edge`: (N, 3, H, W) in [-1, 1]; `noise`: the eps of the style codes, (N, z_dim)
    for the G step and as many for the D step, whose fakes are painted anew."""

    segmap: Segmap
    photo: jt.Var
    edge: jt.Var
    noise: tuple[jt.Var, jt.Var]

    @classmethod
    def of(cls, samples: Sequence[LoadedSample], classes: int) -> Batch:
        edges = np.stack([np.repeat(sample.edge[..., None], 3, axis=2) for sample in samples])
        return cls(
            Segmap(np.stack([sample.labels for sample in samples]), classes),
            jt.array(to_network(np.stack([sample.photo for sample in samples]))),
            jt.array(to_network(edges)),
            (jt.array(np.stack([s.noise[0] for s in samples])), jt.array(np.stack([s.noise[1] for s in samples]))),
        )


@dataclass(frozen=True)
class Networks:
    """`vgg` is only needed where the perceptual loss counts."""

    generator: Generator
    encoder: Encoder
    discriminator: Discriminator
    vgg: VGG19Features | None = None


class _Judged(NamedTuple):
    """A picture of G, what it is held against, and how much it counts."""

    fake: jt.Var
    real: jt.Var
    weight: float


def generator_losses(networks: Networks, batch: Batch, weights: LossWeights, parts: int = 1) -> dict[str, jt.Var]:
    """The weighted terms that G and E minimise, by the original's names: KLD, GAN, GAN_Feat, VGG; and L1.

    `parts`: into how many equal parts, on all ranks together, the step's batch is cut, of which
    `batch` is one; the loss of the step is the mean over the parts.
    """
    pictures, mu, logvar = _paint(networks, batch, batch.noise[0])
    judged = _judged(pictures, batch, weights)
    terms = {"KLD": [parts * weights.lambda_kld * losses.kl_divergence(mu, logvar)]}  # a sum, of which means are taken
    verdicts = [_judge(networks.discriminator, batch.segmap, each.fake, each.real) for each in judged]
    terms["GAN"] = [
        each.weight * losses.adversarial_generator(of_fake, weights.gan_mode)
        for each, (of_fake, _) in zip(judged, verdicts, strict=True)
    ]
    if weights.lambda_feat:
        terms["GAN_Feat"] = [
            each.weight * weights.lambda_feat * losses.feature_matching(of_fake, of_real)
            for each, (of_fake, of_real) in zip(judged, verdicts, strict=True)
        ]
    if weights.lambda_vgg:
        terms["VGG"] = _perceptual_terms(networks, batch, judged, weights.lambda_vgg)
    if weights.lambda_l1:
        terms["L1"] = [each.weight * weights.lambda_l1 * (each.fake - each.real).abs().mean() for each in judged]
    return {name: sum(values[1:], values[0]) for name, values in terms.items()}


def discriminator_losses(networks: Networks, batch: Batch, weights: LossWeights, parts: int = 1) -> dict[str, jt.Var]:
    """The weighted terms that D minimises on fakes of the present G: D_Fake and D_real; both are means over `parts`."""
    with jt.no_grad():
        pictures = Pictures(*(picture.detach() for picture in _paint(networks, batch, batch.noise[1])[0]))
    of_fakes: list[jt.Var] = []
    of_reals: list[jt.Var] = []
    for fake, real, weight in _judged(pictures, batch, weights):
        of_fake, of_real = _judge(networks.discriminator, batch.segmap, fake, real)
        of_fakes.append(weight * losses.adversarial_discriminator(of_fake, False, weights.gan_mode))
        of_reals.append(weight * losses.adversarial_discriminator(of_real, True, weights.gan_mode))
    return {"D_Fake": sum(of_fakes[1:], of_fakes[0]), "D_real": sum(of_reals[1:], of_reals[0])}


def _paint(networks: Networks, batch: Batch, noise: jt.Var) -> tuple[Pictures, jt.Var, jt.Var]:
    mu, logvar = networks.encoder(batch.photo)
    code = mu + jt.exp(0.5 * logvar) * noise
    return networks.generator(code, batch.segmap), mu, logvar


def _judged(pictures: Pictures, batch: Batch, weights: LossWeights) -> list[_Judged]:
    """Each picture of G with its real counterpart and its weight; a weight of 0 leaves it out."""
    each = (
        _Judged(pictures.image, batch.photo, weights.image),
        _Judged(pictures.edge, batch.edge, weights.edge),
        _Judged(pictures.image2, batch.photo, weights.image2),
    )
    return [one for one in each if one.weight]


def _judge(discriminator: Discriminator, segmap: Segmap, fake: jt.Var, real: jt.Var) -> tuple[Verdict, Verdict]:
    """Fake and real go through D as one batch."""
    one_hot = segmap.at(fake.shape[2], fake.shape[3])
    both = jt.concat([jt.concat([one_hot, picture], dim=1) for picture in (fake, real)], dim=0)
    outputs = discriminator(both)
    count = fake.shape[0]
    return (
        [[layer[:count] for layer in layers] for layers in outputs],
        [[layer[count:] for layer in layers] for layers in outputs],
    )


def _perceptual_terms(networks: Networks, batch: Batch, judged: Sequence[_Judged], lambda_vgg: float) -> list[jt.Var]:
    """The features of photo and edge map are computed once, however many pictures are held against them."""
    assert networks.vgg is not None, "the perceptual loss needs VGG19"
    with jt.no_grad():
        real = {id(picture): networks.vgg(picture) for picture in (batch.photo, batch.edge)}
    return [each.weight * lambda_vgg * perceptual(networks.vgg(each.fake), real[id(each.real)]) for each in judged]

"""One training step: G and E learn from what D says, then D from pictures generated anew (SPEC section 3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ecgan.networks import Discriminator, Encoder, Generator, Segmap
from ecgan.networks.generator import Pictures
from ecgan.runtime import jt
from ecgan.training import losses
from ecgan.training.losses import GanMode, Verdict


@dataclass(frozen=True)
class LossWeights:
    """How much each term counts; `image`, `edge` and `image2` scale whatever judges that picture."""

    gan_mode: GanMode = "hinge"
    lambda_feat: float = 10.0
    lambda_kld: float = 0.05
    image: float = 1.0
    edge: float = 1.0
    image2: float = 2.0


class Batch(NamedTuple):
    """`segmap`: N masks; `photo`, `edge`: (N, 3, H, W) in [-1, 1]; `noise`: (N, z_dim), the eps of the style code."""

    segmap: Segmap
    photo: jt.Var
    edge: jt.Var
    noise: jt.Var


@dataclass(frozen=True)
class Networks:
    generator: Generator
    encoder: Encoder
    discriminator: Discriminator


def generator_losses(networks: Networks, batch: Batch, weights: LossWeights) -> dict[str, jt.Var]:
    """The weighted terms that G and E minimise, by the original's names: KLD, GAN, GAN_Feat."""
    pictures, mu, logvar = _paint(networks, batch)
    gan: list[jt.Var] = []
    matching: list[jt.Var] = []
    for fake, real, weight in _judged(pictures, batch, weights):
        of_fake, of_real = _judge(networks.discriminator, batch.segmap, fake, real)
        gan.append(weight * losses.adversarial_generator(of_fake, weights.gan_mode))
        matching.append(weight * weights.lambda_feat * losses.feature_matching(of_fake, of_real))
    return {
        "KLD": weights.lambda_kld * losses.kl_divergence(mu, logvar),
        "GAN": sum(gan[1:], gan[0]),
        "GAN_Feat": sum(matching[1:], matching[0]),
    }


def discriminator_losses(networks: Networks, batch: Batch, weights: LossWeights) -> dict[str, jt.Var]:
    """The weighted terms that D minimises on fakes of the present G: D_Fake and D_real."""
    with jt.no_grad():
        pictures = Pictures(*(picture.detach() for picture in _paint(networks, batch)[0]))
    of_fakes: list[jt.Var] = []
    of_reals: list[jt.Var] = []
    for fake, real, weight in _judged(pictures, batch, weights):
        of_fake, of_real = _judge(networks.discriminator, batch.segmap, fake, real)
        of_fakes.append(weight * losses.adversarial_discriminator(of_fake, False, weights.gan_mode))
        of_reals.append(weight * losses.adversarial_discriminator(of_real, True, weights.gan_mode))
    return {"D_Fake": sum(of_fakes[1:], of_fakes[0]), "D_real": sum(of_reals[1:], of_reals[0])}


def _paint(networks: Networks, batch: Batch) -> tuple[Pictures, jt.Var, jt.Var]:
    mu, logvar = networks.encoder(batch.photo)
    code = mu + jt.exp(0.5 * logvar) * batch.noise
    return networks.generator(code, batch.segmap), mu, logvar


def _judged(pictures: Pictures, batch: Batch, weights: LossWeights) -> list[tuple[jt.Var, jt.Var, float]]:
    """What D judges: each picture of G with its real counterpart and its weight."""
    return [
        (pictures.image, batch.photo, weights.image),
        (pictures.edge, batch.edge, weights.edge),
        (pictures.image2, batch.photo, weights.image2),
    ]


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

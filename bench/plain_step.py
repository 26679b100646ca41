"""The losses of one training step as the specification words them, nothing saved: what `ecgan.training.step` is
held against, in speed by `bench/training.py` and in value by the tests.

Each picture of G goes through D with its real counterpart as one batch, gradients through both halves;
VGG19 looks at each picture and at its counterpart anew. Convolutions are Jittor's own.
"""

from __future__ import annotations

from unittest import mock

from ecgan.networks.generator import Pictures
from ecgan.runtime import jt
from ecgan.training import losses
from ecgan.training.batch import Batch
from ecgan.training.perceptual import perceptual
from ecgan.training.recipe import LossWeights
from ecgan.training.step import Networks, Outcome

#: In which convolutions are Jittor's own, gradients through them too.
jittors_own = mock.patch("ecgan.networks.convolution.by_winograd", new=lambda x: False)


@jittors_own
def generator_losses(networks: Networks, batch: Batch, weights: LossWeights) -> Outcome:
    mu, logvar = networks.encoder(batch.photo)
    code = mu + jt.exp(0.5 * logvar) * batch.noise[0]
    pictures = networks.generator(code, batch.segmap, batch.noise_maps[0])
    terms = {"KLD": batch.parts * weights.lambda_kld * losses.kl_divergence(mu, logvar), "GAN": 0.0, "GAN_Feat": 0.0}
    if networks.vgg is not None:
        terms["VGG"] = 0.0
    for fake, real, weight in _pairs(pictures, batch, weights):
        of_fake, of_real = _judge(networks, batch, fake, real)
        terms["GAN"] += weight * losses.adversarial_generator(of_fake, weights.gan_mode)
        terms["GAN_Feat"] += weight * weights.lambda_feat * losses.feature_matching(of_fake, of_real)
        if networks.vgg is not None:
            terms["VGG"] += weight * weights.lambda_vgg * perceptual(networks.vgg(fake), networks.vgg(real))
    return Outcome(terms, pictures)


@jittors_own
def discriminator_losses(networks: Networks, batch: Batch, weights: LossWeights) -> Outcome:
    with jt.no_grad():
        mu, logvar = networks.encoder(batch.photo)
        code = mu + jt.exp(0.5 * logvar) * batch.noise[1]
        pictures = networks.generator(code, batch.segmap, batch.noise_maps[1]).detached()
    terms = {"D_Fake": 0.0, "D_real": 0.0}
    for fake, real, weight in _pairs(pictures, batch, weights):
        of_fake, of_real = _judge(networks, batch, fake, real)
        terms["D_Fake"] += weight * losses.adversarial_discriminator(of_fake, False, weights.gan_mode)
        terms["D_real"] += weight * losses.adversarial_discriminator(of_real, True, weights.gan_mode)
    return Outcome(terms, pictures)


def _pairs(pictures: Pictures, batch: Batch, weights: LossWeights) -> list[tuple[jt.Var, jt.Var, float]]:
    return [
        (pictures.image, batch.photo, weights.image),
        (pictures.edge, batch.edge, weights.edge),
        (pictures.image2, batch.photo, weights.image2),
    ]


def _judge(networks: Networks, batch: Batch, fake: jt.Var, real: jt.Var) -> tuple[losses.Verdict, losses.Verdict]:
    one_hot = batch.segmap.at(fake.shape[2], fake.shape[3])
    outputs = networks.discriminator(jt.concat([jt.concat([one_hot, seen], dim=1) for seen in (fake, real)], dim=0))
    count = fake.shape[0]
    return [[m[:count] for m in maps] for maps in outputs], [[m[count:] for m in maps] for maps in outputs]

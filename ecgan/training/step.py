"""One training step: G and E learn from what D says, then D from pictures generated anew.

docs/specification.md, section 3.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from ecgan.networks import Discriminator, Encoder, Generator
from ecgan.networks.generator import Pictures
from ecgan.networks.projection import ProjectionHead
from ecgan.networks.segmentation_discriminator import SegmentationDiscriminator
from ecgan.networks.vgg import VGG19Features
from ecgan.runtime import jt
from ecgan.training import guidance, losses, segmentation_adversarial
from ecgan.training.batch import Batch, Side
from ecgan.training.colours import tone_distance
from ecgan.training.guidance import Guide
from ecgan.training.losses import Verdict
from ecgan.training.perceptual import perceptual
from ecgan.training.recipe import LossWeights
from ecgan.training.regularise import approximate_r1, lecam, mean_logits
from ecgan.training.texture import texture_distance

Seen = TypeVar("Seen")


@dataclass(frozen=True)
class Networks:
    """`vgg` is only needed where the perceptual loss counts, `guide` where semantic guidance does, `head` where classes
    are contrasted; of the two discriminators there is at least one."""

    generator: Generator
    encoder: Encoder
    discriminator: Discriminator | None
    vgg: VGG19Features | None = None
    guide: Guide | None = None
    segmentation: SegmentationDiscriminator | None = None
    head: ProjectionHead | None = None


class Outcome(NamedTuple):
    """Weighted loss terms by the original's names, and the pictures they are of, as they were painted.

    `stages`: pictures in the order in which gradients reach them, each with the terms it has a part
    in before they are summed; computed one after the other, they need the least memory.
    `said`: mean logits of real pictures and of fakes, where LeCam's averages need them.
    """

    terms: dict[str, jt.Var]
    pictures: Pictures
    stages: Sequence[tuple[jt.Var, list[jt.Var]]] = ()
    said: tuple[jt.Var, ...] = ()


#: Places of what pictures are held against.
_PHOTO, _EDGE = 0, 1


class _Judged(NamedTuple):
    """A picture of G, what it is held against, and how much it counts. `real`: its place among the real ones."""

    fake: jt.Var
    real: int
    weight: float


def generator_losses(networks: Networks, batch: Batch, weights: LossWeights) -> Outcome:
    """What G and E minimise: KLD, GAN, GAN_Feat, VGG; and L1, Guide, Guide_Feat, Tone, Texture, Contrast."""
    code, mu, logvar = _style(networks, batch, batch.noise[0])
    terms: dict[str, list[jt.Var]] = {}
    if weights.lambda_kld:  # of the divergence, a sum, means over the parts are taken, too
        terms["KLD"] = [batch.parts * weights.lambda_kld * losses.kl_divergence(mu, logvar)]
    if batch.compared is None:
        pictures = networks.generator(code, batch.segmap, batch.noise_maps[0])
    else:
        assert networks.head is not None, "a contrast between classes needs a projection head"
        pictures, features = networks.generator.with_features(code, batch.segmap, batch.noise_maps[0])
        term = batch.compared.contrast(networks.head, features, weights.contrast_temperature)
        terms["Contrast"] = [weights.lambda_contrast * term]
    judged = _judged(pictures, weights)
    # Picture by picture, so that what one of them needs is free before the next; the real ones once for all.
    real = [batch.photo, batch.edge]
    with jt.no_grad():
        of_reals = (
            [_judge(networks, batch, real[place], place, "G") for place in (_PHOTO, _EDGE)]
            if weights.lambda_feat and networks.discriminator is not None
            else []
        )
        seen_in_reals = [networks.vgg(picture) for picture in real] if networks.vgg and weights.lambda_vgg else []
        seen_in_photo = networks.guide(batch.photo).maps if networks.guide and weights.lambda_guide_feat else []
    stages = []
    for fake, place, weight in judged:
        found = {}
        if networks.discriminator is not None:
            of_fake = _judge(networks, batch, fake, place, "G")
            found["GAN"] = losses.adversarial_generator(of_fake, weights.gan_mode)
        if networks.discriminator is not None and weights.lambda_feat:
            found["GAN_Feat"] = weights.lambda_feat * losses.feature_matching(of_fake, of_reals[place])
        if weights.lambda_vgg:
            assert networks.vgg is not None, "the perceptual loss needs VGG19"
            found["VGG"] = weights.lambda_vgg * perceptual(networks.vgg(fake), seen_in_reals[place])
        if weights.lambda_l1:
            found["L1"] = weights.lambda_l1 * (fake - real[place]).abs().mean()
        if place == _PHOTO:
            found |= _towards_photo(networks, batch, fake, seen_in_photo, weights)
        for name, term in found.items():
            terms.setdefault(name, []).append(weight * term)
        stages.append((fake, [values[-1] for values in terms.values()]))
    return Outcome({name: sum(values[1:], values[0]) for name, values in terms.items()}, pictures, stages)


def _towards_photo(
    networks: Networks, batch: Batch, fake: jt.Var, seen_in_photo: list[jt.Var], weights: LossWeights
) -> dict[str, jt.Var]:
    """Weighted terms that a picture has and an edge map has not."""
    found = {}
    if networks.segmentation is not None:
        assert batch.balance is not None
        one_hot = batch.segmap.at(fake.shape[2], fake.shape[3])
        found["GAN_Seg"] = segmentation_adversarial.of_classes(networks.segmentation(fake), one_hot, batch.balance)
    if weights.guided:
        assert networks.guide is not None, "semantic guidance needs a segmentation network"
        seen = networks.guide(fake)
        if weights.lambda_guide:
            one_hot = batch.segmap.at(fake.shape[2], fake.shape[3])
            found["Guide"] = weights.lambda_guide * guidance.recognition(seen, one_hot)
        if weights.lambda_guide_feat:
            found["Guide_Feat"] = weights.lambda_guide_feat * guidance.likeness(seen.maps, seen_in_photo)
    if weights.lambda_tone:
        found["Tone"] = weights.lambda_tone * tone_distance(fake, batch.photo)
    if weights.lambda_texture:
        found["Texture"] = weights.lambda_texture * texture_distance(fake, batch.photo)
    return found


def discriminator_losses(networks: Networks, batch: Batch, weights: LossWeights) -> Outcome:
    """What D minimises on fakes of the present G: D_Fake and D_real; LeCam and R1. What U does: U_Fake, U_real and
    LabelMix."""
    pictures = batch.painted
    if pictures is None:
        with jt.no_grad():
            code, _, _ = _style(networks, batch, batch.noise[1])
            pictures = networks.generator(code, batch.segmap, batch.noise_maps[1]).detached()
    judged = _judged(pictures, weights)
    terms: dict[str, jt.Var] = {}
    said: tuple[jt.Var, ...] = ()
    if networks.discriminator is not None:
        terms, said = _of_patches(networks, batch, judged, weights)
    if networks.segmentation is not None:
        assert batch.balance is not None
        fakes = [(each.weight, each.fake) for each in judged if each.real == _PHOTO]
        one_hot = batch.segmap.at(*batch.photo.shape[2:])
        found = segmentation_adversarial.terms(
            networks.segmentation, batch.photo, fakes, one_hot, batch.balance, batch.regions
        )
        terms |= {name: term * (weights.lambda_labelmix if name == "LabelMix" else 1) for name, term in found.items()}
    return Outcome(terms, pictures, said=said)


def _of_patches(
    networks: Networks, batch: Batch, judged: Sequence[_Judged], weights: LossWeights
) -> tuple[dict[str, jt.Var], tuple[jt.Var, ...]]:
    """D's terms, and what it said on average where LeCam needs that."""
    # A real picture is looked at once, and counts as often as pictures of G are held against it.
    real = (batch.photo, batch.edge)
    counts = [sum(each.weight for each in judged if each.real == place) for place in (_PHOTO, _EDGE)]
    fakes = [(each.weight, _judge(networks, batch, each.fake, each.real, "D")) for each in judged]
    places = [place for place in (_PHOTO, _EDGE) if counts[place]]
    reals = [(counts[place], _judge(networks, batch, real[place], place, "D")) for place in places]
    terms = {
        "D_Fake": _sum(fakes, lambda said: losses.adversarial_discriminator(said, False, weights.gan_mode)),
        "D_real": _sum(reals, lambda said: losses.adversarial_discriminator(said, True, weights.gan_mode)),
    }
    said: tuple[jt.Var, ...] = ()
    if batch.anchors is not None:
        of_fakes, of_reals = batch.anchors
        distances = _sum(reals, lambda said: lecam(said, of_fakes)) + _sum(fakes, lambda said: lecam(said, of_reals))
        terms["LeCam"] = weights.lambda_lecam * distances
        said = tuple(_sum(each, mean_logits) / sum(weight for weight, _ in each) for each in (reals, fakes))
    if batch.r1_noise is not None:
        noisy = [real[place] + weights.r1_sigma * batch.r1_noise[place] for place in places]
        of_noisy = [_judge(networks, batch, picture, place, "D") for place, picture in zip(places, noisy, strict=True)]
        both = [(weight, (seen, other)) for (weight, seen), other in zip(reals, of_noisy, strict=True)]
        terms["R1"] = weights.lambda_r1 * weights.r1_every * _sum(both, lambda pair: approximate_r1(*pair))
    return terms, said


def _sum(judged: Sequence[tuple[float, Seen]], term: Callable[[Seen], jt.Var]) -> jt.Var:
    """Of the terms of what D has seen, each with its weight."""
    terms = [weight * term(seen) for weight, seen in judged]
    return sum(terms[1:], terms[0])


def _style(networks: Networks, batch: Batch, noise: jt.Var) -> tuple[jt.Var, jt.Var, jt.Var]:
    """Style codes, their mean and the logarithm of their variance."""
    mu, logvar = networks.encoder(batch.photo)
    return mu + jt.exp(0.5 * logvar) * noise, mu, logvar


def _judged(pictures: Pictures, weights: LossWeights) -> list[_Judged]:
    """Each picture of G, held against the photo or its edge map; a weight of 0 leaves it out.

    image2 is made of image and edge, image of edge: in this order gradients reach them.
    """
    each = (
        _Judged(pictures.image2, _PHOTO, weights.image2),
        _Judged(pictures.image, _PHOTO, weights.image),
        _Judged(pictures.edge, _EDGE, weights.edge),
    )
    return [one for one in each if one.weight]


def _judge(networks: Networks, batch: Batch, picture: jt.Var, place: int, step: Side) -> Verdict:
    """What D says of a picture, real or not, whose real one is at `place`."""
    one_hot = batch.segmap.at(picture.shape[2], picture.shape[3])
    if batch.views is not None:
        views = batch.views[step == "D"]
        one_hot, picture = views.of_mask(one_hot), views.of_picture(picture, is_edge_map=place == 1)
    assert networks.discriminator is not None
    return networks.discriminator(jt.concat([one_hot, picture], dim=1))

"""What D sees instead of pictures: every change by hand, masks along with pictures, fakes along with real ones."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pytest
from conftest import draw_mask, draw_photo

from ecgan.config import ModelConfig
from ecgan.data.edges import edge_map
from ecgan.training.loader import LoadedSample
from ecgan.training.recipe import Augmentation, LossWeights

MODEL = ModelConfig(128, 64, ngf=4, ndf=4, num_upsampling_layers="normal")
SIZE = (64, 128)
KINDS = get_args(Augmentation)


def sample(index: int) -> LoadedSample:
    photo = draw_photo(index)
    noise = np.zeros((2, MODEL.z_dim), np.float32)
    return LoadedSample(f"s{index}", draw_mask(index), photo, edge_map(photo), noise, (5, 2, index))


def draws(count: int = 2, part: str = "D") -> list[np.random.Generator]:
    return [sample(index).generator("augment", part) for index in range(count)]


def pictures(count: int = 2) -> np.ndarray:
    return np.random.default_rng(3).uniform(-1, 1, (count, 3, *SIZE)).astype(np.float32)


def seen(kinds: Any, picture: np.ndarray, is_edge_map: bool = False) -> np.ndarray:
    from ecgan.runtime import jt
    from ecgan.training.augment import Views

    return np.asarray(Views(kinds, draws(len(picture)), SIZE).of_picture(jt.array(picture), is_edge_map).numpy())


def by_hand(kinds: Any, picture: np.ndarray) -> np.ndarray:
    """One picture after the other, in double precision."""
    from ecgan.training.augment import _draw

    found = []
    for random, x in zip(draws(len(picture)), picture.astype(np.float64), strict=True):
        (brightness, saturation, contrast), (down, right), kept = _draw(random, SIZE)
        if "colour" in kinds:
            x = x + brightness
            x = x.mean(0) + saturation * (x - x.mean(0))
            x = x.mean() + contrast * (x - x.mean())
        if "translation" in kinds:
            far = np.pad(x, ((0, 0), (SIZE[0], SIZE[0]), (SIZE[1], SIZE[1])))
            x = np.roll(far, (down, right), (1, 2))[:, SIZE[0] : -SIZE[0], SIZE[1] : -SIZE[1]]
        found.append(x * kept if "cutout" in kinds else x)
    return np.stack(found)


@pytest.mark.parametrize("kinds", [*((kind,) for kind in KINDS), KINDS], ids=",".join)
def test_pictures_are_seen_as_by_hand(kinds: Any) -> None:
    picture = pictures()
    wanted = by_hand(kinds, picture)
    assert np.allclose(seen(kinds, picture), wanted, atol=1e-5) and not np.allclose(wanted, picture, atol=0.05)


def test_draws_have_the_papers_ranges() -> None:
    from ecgan.training.augment import _draw

    found = [_draw(np.random.default_rng(seed), SIZE) for seed in range(400)]
    colours, shifts, holes = (np.stack(each) for each in zip(*found, strict=True))
    assert np.allclose(colours.min(0), (-0.5, 0, 0.5), atol=0.05)
    assert np.allclose(colours.max(0), (0.5, 2, 1.5), atol=0.05)
    assert (shifts.min(0) == (-8, -16)).all() and (shifts.max(0) == (8, 16)).all()
    cut = (1 - holes[:, 0]).sum((1, 2))
    assert cut.max() == 32 * 64 and cut.min() >= 16 * 32 and set(np.unique(holes)) == {0, 1}
    assert (holes.min(0) == 0).all()  # no place is safe


def test_edge_maps_have_no_colour() -> None:
    picture = pictures()
    assert np.array_equal(seen(("colour",), picture, is_edge_map=True), picture)
    assert np.array_equal(seen(KINDS, picture, is_edge_map=True), seen(("translation", "cutout"), picture))


def test_a_mask_goes_where_its_picture_goes() -> None:
    from ecgan.networks import Segmap
    from ecgan.runtime import jt
    from ecgan.training.augment import Views

    labels = np.stack([sample(index).labels for index in range(2)])
    one_hot = Segmap(labels, MODEL.semantic_nc).at(*SIZE)
    views = Views(KINDS, draws(), SIZE)
    mask = views.of_mask(one_hot).numpy()
    planes = one_hot.numpy()
    for first in range(0, MODEL.semantic_nc - 3, 3):
        of_picture = views.of_picture(jt.array(planes[:, first : first + 3]), is_edge_map=True).numpy()
        assert np.array_equal(mask[:, first : first + 3], of_picture)
    left = mask.sum(1)
    assert set(np.unique(left)) == {0, 1} and 0.3 < left.mean() < 0.95


def test_what_is_drawn_depends_on_the_sample_alone() -> None:
    pair = pictures()
    both = seen(KINDS, pair)
    assert np.array_equal(seen(KINDS, pair[:1]), both[:1])  # whatever else is in its micro-batch
    cut = seen(("cutout",), pair) == 0
    assert (both[cut] == 0).all()  # and whatever else is done
    first, other = (next(iter(draws(1, part))).random() for part in "GD")
    assert first != other and sample(0).generator("augment", "D").random() == other
    assert sample(1).generator("augment", "D").random() != other


def test_gradients_go_through_it() -> None:
    """It is linear, so that differences are gradients."""
    from ecgan.runtime import jt
    from ecgan.training.augment import Views

    picture = pictures(1)
    weight = np.random.default_rng(8).standard_normal(picture.shape).astype(np.float32)
    x = jt.array(picture)
    value = (Views(KINDS, draws(1), SIZE).of_picture(x, False) * jt.array(weight)).sum()
    gradient = jt.grad(value, x).numpy()
    places = np.random.default_rng(9).integers(0, picture.size, 40)
    for place in places:
        other = picture.copy()
        other.flat[place] += 1
        wanted = ((by_hand(KINDS, other) - by_hand(KINDS, picture)) * weight).sum()
        assert gradient.flat[place] == pytest.approx(wanted, abs=1e-4)
    assert 0.05 < (np.abs(gradient) < 1e-3).mean() < 0.7  # what is cut out, but for its share in the mean


@pytest.mark.slow
def test_a_fake_is_seen_as_its_real_one_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """So pictures that are the real ones have no distance from them in D's features."""
    from ecgan.networks import Discriminator, Encoder, Generator
    from ecgan.networks.generator import Pictures
    from ecgan.training import step
    from ecgan.training.batch import Batch
    from ecgan.training.initialise import initialise

    networks = step.Networks(Generator(MODEL), Encoder(MODEL), Discriminator(MODEL))
    initialise(networks.discriminator, "D", seed=0, gain=1.0)  # always the same, and one that says something
    samples = [sample(0), sample(1)]
    batch = Batch.of(samples, MODEL.semantic_nc, augment=KINDS)
    real = Pictures(**{name: batch.edge if name == "edge" else batch.photo for name in Pictures._fields})
    monkeypatch.setattr(Generator, "execute", lambda *_: real)
    weights = LossWeights(lambda_vgg=0.0)
    alike = step.generator_losses(networks, batch, weights).terms
    assert alike["GAN_Feat"].item() == 0
    plain = step.generator_losses(networks, Batch.of(samples, MODEL.semantic_nc), weights).terms
    assert plain["GAN"].item() != pytest.approx(alike["GAN"].item(), rel=1e-2)  # D was shown something else
